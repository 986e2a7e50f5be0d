"""Resources that change, or changed, while hosts are compared."""

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova
from contract.conftest import Api
from contract.drift_helpers import (
    Ask,
    FakeHosts,
    Made,
    ask,
    fixtures,
    hosts,
    killed,
    port,
    server,
    texts,
    works,
)
from skywright.services.image.tables import Image

__all__ = ["ask", "fixtures", "hosts", "server"]


def test_resources_with_an_unfinished_job_are_left_out(
    api: Api, ask: Ask, hosts: FakeHosts, server: Made, demo: Connection
) -> None:
    killed(hosts, server, "crashed")
    demo.compute.stop_server(server.id)
    report = ask()
    assert report["state"] == "clean"
    [one] = report["left_out"]
    assert one["id"] == server.id and "server stop is not finished" in one["reason"]
    assert ask("converge")["jobs"] == []
    works(api)


def test_servers_in_error_are_left_out(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    server.set(status="ERROR")
    report = ask()
    assert [(one["id"], one["reason"]) for one in report["left_out"]] == [(server.id, "it is in ERROR")]
    assert report["checked"]["servers"] == 0


def test_stopped_servers_need_no_taps(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    server.set(status="SHUTOFF", power="shutoff")
    assert ask()["state"] == "clean"
    items = hosts.drafts[-1].items
    assert items[server.host]["servers"][0]["power"] == "shutoff"
    assert items[server.host]["networks"][0]["ports"] == []


@pytest.mark.parametrize("path", ["drift", "converge"])
@pytest.mark.parametrize("change", ["job", "ended", "rename"])
def test_changes_during_the_comparison_are_left_out(  # noqa: PLR0917
    api: Api, ask: Ask, hosts: FakeHosts, server: Made, demo: Connection, change: str, path: str
) -> None:
    """The hosts may be newer or older than the records."""
    killed(hosts, server, "crashed")

    def meanwhile() -> None:
        hosts.meanwhile = None
        if change == "rename":
            demo.compute.update_server(server.id, name="new-name")
            return
        demo.compute.stop_server(server.id)
        if change == "ended":
            works(api)

    hosts.meanwhile = meanwhile
    answer = ask(path)
    report = answer.get("drift", answer)
    assert (report["state"], report["resources"]) == ("clean", [])
    assert [one["id"] for one in report["left_out"]] == [server.id]
    assert answer.get("jobs", []) == []
    works(api)
    assert server.get().power == ("running" if change == "rename" else "shutoff")


def test_a_change_of_another_server_of_the_network_hides_nothing(  # noqa: PLR0917
    api: Api, ask: Ask, hosts: FakeHosts, server: Made, demo: Connection, fixtures: Fixtures
) -> None:
    hosts.say(
        server.host,
        "ovs_network",
        server.network,
        after={"ports": {server.tap: port(), "vx0": port()}, "taps": {server.tap: 1450}},
    )
    nova = Nova(demo, api.url)
    made: list[str] = []

    def meanwhile() -> None:
        made.append(nova("POST", "/servers", fixtures.body("other")).json()["server"]["id"])
        works(api)

    hosts.meanwhile = meanwhile
    report = ask()
    assert texts(report) == {server.id: [f"port {server.tap} is missing on the switch"]}
    assert [one["id"] for one in report["left_out"]] == [server.network], "its tunnels may be new"
    for identifier in made:
        nova("DELETE", f"/servers/{identifier}")
    works(api)


def test_a_deleted_image_cannot_be_restored(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    image = str(server.get().image_id)
    hosts.say(server.host, "server_disk", image, error="the image is not in the cache and has no url")
    with api.cloud.database.write() as session:
        session.get_one(Image, image).status = "deleted"
    [found] = ask()["resources"]
    assert (found["id"], found["state"]) == (image, "lost")
    assert ask("converge")["jobs"] == []
    with api.cloud.database.write() as session:
        session.get_one(Image, image).status = "active"

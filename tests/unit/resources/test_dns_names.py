"""Names of servers in the DNS of their network: changed by users, lost on the host, and removed."""

import pytest
from sqlalchemy import select

from resources.life import Story
from skywright.services.network.tables import Port


@pytest.fixture
def network(story: Story) -> str:
    return story.network()


@pytest.fixture
def port(story: Story, network: str) -> Port:
    server = story.server(story.image(), story.flavor(), network)
    with story.cloud.database.read() as session:
        return session.scalars(select(Port).where(Port.device_id == server)).one()


def names(story: Story, network: str) -> list[str]:
    text: str = story.machine.parts["dhcp_network"].text("names", network)  # type: ignore[attr-defined]
    return [line.partition(" # ")[0] for line in text.splitlines()]


def test_changes_reach_the_host_as_planned(story: Story, network: str, port: Port) -> None:
    def change(path: str, **values: str) -> list[str]:
        kind = path.removesuffix("s")
        identifier = port.id if kind == "port" else network
        story.change("network", f"/v2.0/{path}/{identifier}", {kind: values}, "PUT")
        assert story.drift()["state"] == "clean"
        return names(story, network)

    assert names(story, network) == ["10.9.0.2 web.skywright.internal web"]
    assert change("ports", dns_name="db") == ["10.9.0.2 db.skywright.internal db"]
    assert change("networks", dns_domain="example.org.") == ["10.9.0.2 db.example.org db"]
    assert change("ports", dns_domain="own.net.") == ["10.9.0.2 db.own.net db"]
    assert change("ports", dns_name="") == ["10.9.0.2 host-10-9-0-2.own.net host-10-9-0-2"]
    story.delete("network", f"/v2.0/ports/{port.id}")
    assert names(story, network) == [] and story.drift()["state"] == "clean"


def test_lost_names_are_drift_of_the_server(story: Story, network: str, port: Port) -> None:
    path = story.machine.parts["dhcp_network"].directory / network / "names"  # type: ignore[attr-defined]
    path.write_text("")
    [found] = story.drift()["resources"]
    assert (found["type"], found["id"]) == ("server", port.device_id)
    [difference] = found["differences"]
    assert difference["text"] == "its names in DNS differ"
    assert story.repair() == ["server"]
    assert names(story, network) == ["10.9.0.2 web.skywright.internal web"] and story.drift()["state"] == "clean"

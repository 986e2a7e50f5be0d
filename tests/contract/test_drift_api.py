"""Drift and converge, with fake hosts."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from openstack.connection import Connection
from sqlalchemy import select

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.drift_helpers import FakeHosts
from skywright.core import Work
from skywright.db import utcnow
from skywright.db.jobs import Host, Job
from skywright.services.compute.tables import Server
from skywright.services.image.tables import Image
from skywright.services.network.tables import Network, NetworkHost, Port

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "h1", "h2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture
def hosts(api: Api, monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    hosts = FakeHosts()
    monkeypatch.setattr(api.cloud, "planner", hosts)
    return hosts


def asking(connection: Connection, api: Api) -> Ask:
    def ask(path: str = "drift", expected: int = 0, **body: Any) -> dict[str, Any]:
        answer: requests.Response = connection.session.post(f"{api.url}/v1/{path}", json=body, raise_exc=False)
        assert answer.status_code == (expected or {"drift": 200, "converge": 202}[path]), answer.text
        found: dict[str, Any] = answer.json()
        return found

    return ask


@pytest.fixture
def ask(api: Api, admin: Connection) -> Ask:
    return asking(admin, api)


@pytest.fixture
def ask_demo(api: Api, demo: Connection) -> Ask:
    return asking(demo, api)


class Made:
    """An ACTIVE server of demo, with its port."""

    def __init__(self, api: Api, identifier: str) -> None:
        self.api, self.id = api, identifier
        with api.cloud.database.read() as session:
            self.host = str(session.get_one(Server, identifier).host)
            port = session.scalars(select(Port).where(Port.device_id == identifier)).one()
            self.port, self.network, self.tap = port.id, port.network_id, f"tap{port.id[:11]}"

    def set(self, **values: Any) -> None:
        with self.api.cloud.database.write() as session:
            for key, value in values.items():
                setattr(session.get_one(Server, self.id), key, value)

    def get(self) -> Server:
        with self.api.cloud.database.read() as session:
            return session.get_one(Server, self.id)


@pytest.fixture
def server(api: Api, demo: Connection, fixtures: Fixtures) -> Iterator[Made]:
    nova = Nova(demo, api.url)
    identifier = nova("POST", "/servers", fixtures.body("there")).json()["server"]["id"]
    run_jobs(api.cloud)
    yield Made(api, identifier)
    nova("DELETE", f"/servers/{identifier}")
    run_jobs(api.cloud)


def jobs_of(answer: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(job["playbook"], job["action"], job["resources"][0]["id"]) for job in answer["jobs"]}


def works(api: Api) -> list[Work]:
    return run_jobs(api.cloud)


def texts(report: dict[str, Any]) -> dict[str, list[str]]:
    return {one["id"]: [difference["text"] for difference in one["differences"]] for one in report["resources"]}


def port(**changes: Any) -> dict[str, Any]:
    return {"stale": False, "tag": 1, **changes}


def test_no_drift(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    report = ask()
    assert report == {
        "state": "clean",
        "checked": {"hosts": 2, "servers": 1, "networks": 1, "images": 1},
        "resources": [],
        "leftovers": [],
        "left_out": [],
        "not_checked": [],
    }
    assert [draft.playbook for draft in hosts.drafts] == ["host", "items"], "one run looks at all"
    items = hosts.drafts[1].items
    [one] = items[server.host]["servers"]
    assert (one["id"], one["power"], one["launched"]) == (server.id, "running", True)
    [network] = items[server.host]["networks"]
    assert [entry["id"] for entry in network["ports"]] == [server.port]
    assert [entry["id"] for entry in items["h1"]["networks"][0]["dhcp"]["hosts"]] == [server.port]
    assert ask("converge")["jobs"] == []


def test_each_difference_is_reported_for_its_resource(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    tunnel = "vx01234567890"
    hosts.say(
        server.host,
        "ovs_network",
        server.network,
        before={"tag": 1, "ports": {}, "taps": {}},
        after={"tag": 1, "ports": {server.tap: port(), tunnel: port()}, "taps": {server.tap: 1450}},
    )
    base = {"files": {}, "options": "", "unit": True, "enabled": True, "told": True}
    hosts.say(
        "h1",
        "dhcp_network",
        server.network,
        before={**base, "running": False, "hosts": {server.port: "wrong"}},
        after={**base, "running": True, "hosts": {server.port: "right"}},
    )
    hosts.say(server.host, "libvirt_domain", server.id, action="create", after={"power": "running"})
    report = ask()
    assert report["state"] == "drift"
    assert texts(report) == {
        server.id: [
            "its domain is not defined",
            f"port {server.tap} is missing on the switch",
            "its DHCP entry differs",
        ],
        server.network: [f"tunnel {tunnel} is missing on the switch", "its DHCP server does not run"],
    }
    answer = ask("converge")
    assert jobs_of(answer) == {("server", "converge", server.id), ("network", "converge", server.network)}
    items = {host: work for found in works(api) for host, work in found.items.items() if "servers" in work}
    assert items[server.host]["servers"][0]["id"] == server.id
    with api.cloud.database.read() as session:
        jobs = session.scalars(select(Job).where(Job.action == "converge")).all()
        assert {job.state for job in jobs} == {"successful"}
        assert {job.user_id for job in jobs} != {None}


def test_a_network_is_repaired_only_on_hosts_where_it_differs(
    api: Api, ask: Ask, hosts: FakeHosts, server: Made
) -> None:
    hosts.say("h1", "ovs_network", server.network, after={"ports": {"dh0": port()}})
    ask("converge")
    [work] = works(api)
    assert list(work.items) == ["h1"]
    [item] = work.items["h1"]["networks"]
    assert item["ports"] == [] and item["dhcp"]["hosts"] == [], "what is servers' is their jobs'"
    assert set().union(*work.depends.values()) == {("h1", server.network)}


def killed(hosts: FakeHosts, server: Made, reason: str) -> None:
    hosts.domains[server.host] = [{"id": server.id, "power": "shutoff", "reason": reason}]
    hosts.say(server.host, "libvirt_domain", server.id, before={"power": "shutoff"}, after={"power": "running"})


@pytest.mark.parametrize("seen", [False, True])
def test_a_killed_guest_is_started(api: Api, ask: Ask, hosts: FakeHosts, server: Made, *, seen: bool) -> None:
    if seen:  # the observer came first
        server.set(status="SHUTOFF", power_state=4)
    killed(hosts, server, "crashed")
    assert texts(ask()) == {server.id: ["it does not run: its QEMU crashed or was killed"]}
    ask("converge")
    works(api)
    assert (server.get().status, server.get().power) == ("ACTIVE", "running")


def test_a_guest_that_shut_itself_down_stays_off(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    killed(hosts, server, "shutdown")
    assert ask()["state"] == "clean"
    assert server.get().status == "ACTIVE", "drift changes nothing"
    # Other differences are repaired.
    hosts.say(server.host, "server_disk", server.id, before={"config_drive": None}, after={"config_drive": "x"})
    assert texts(ask()) == {server.id: ["its config drive is missing"]}
    ask("converge")
    [work] = works(api)
    assert work.items[server.host]["servers"][0]["power"] == "shutoff"
    assert server.get().status == "SHUTOFF"


def test_a_lost_disk_is_recreated_only_on_request(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    hosts.say(server.host, "server_disk", server.id, error="its disk is lost", status="lost", action="")
    hosts.say(server.host, "libvirt_domain", server.id, error="its disk is lost")
    report = ask()
    [found] = report["resources"]
    assert (report["state"], found["state"], len(found["differences"])) == ("drift", "lost", 1)
    assert ask("converge")["jobs"] == []
    assert jobs_of(ask("converge", recreate_disks=True)) == {("server", "converge", server.id)}
    [work] = works(api)
    assert work.items[server.host]["servers"][0]["launched"] is False


def test_unreadable_items_are_no_drift(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    hosts.say(server.host, "libvirt_domain", server.id, error="cannot reach libvirt")
    report = ask()
    assert report["state"] == "incomplete"
    assert report["resources"][0]["state"] == "unknown"
    assert ask("converge")["jobs"] == []


def test_hosts_that_cannot_be_compared(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    hosts.silent = {"h2"}
    report = ask()
    assert report["state"] == "incomplete"
    assert [one["host"] for one in report["not_checked"]] == ["h2"]
    assert "no route" in report["not_checked"][0]["reason"]
    with api.cloud.database.write() as session:
        session.get_one(Host, "h2").state = "maintenance"
    report = ask()
    assert report["not_checked"] == [{"host": "h2", "reason": "host h2 is in maintenance"}]
    assert [name for name, _, _ in hosts.drafts[-2].hosts] == ["h1"]
    with api.cloud.database.write() as session:
        session.get_one(Host, "h2").state = "enabled"


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


def leave(hosts: FakeHosts, host: str, network: str) -> dict[str, str]:
    """Return leftovers of all kinds on a host."""
    ids = {kind: str(uuid4()) for kind in ("server", "network", "port", "image")}
    tap = {"name": f"tap{ids['port'][:11]}", "id": network, "port_id": ids["port"], "peer": None}
    tunnel = {"name": "vx99", "id": network, "port_id": None, "peer": "203.0.113.9"}
    lost = {"name": "dh99", "id": ids["network"], "port_id": None, "peer": None}
    hosts.domains[host] = [{"id": ids["server"], "power": "running", "reason": None}]
    hosts.mark(
        host,
        server_disk=[{"id": ids["server"], "disk": True, "image_id": ids["image"]}],
        ovs_network=[tap, tunnel, lost],
        dhcp_network=[{"id": ids["network"], "ports": []}],
        image_cache=[{"id": ids["image"]}],
    )
    return ids


def test_leftovers_are_listed_and_removed(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    ids = leave(hosts, server.host, server.network)
    report = ask()
    assert report["state"] == "drift"
    assert {(one["host"], one["type"], one["id"], one["text"], one["data"]) for one in report["leftovers"]} == {
        (server.host, "server", ids["server"], "domain (running), directory (with a disk)", True),
        (server.host, "network", ids["network"], "port dh99, DHCP server", False),
        (server.host, "network", server.network, f"port tap{ids['port'][:11]}, tunnel vx99 to 203.0.113.9", False),
        (server.host, "image", ids["image"], "cached image", False),
    }
    assert ask("converge", leftovers=False)["jobs"] == []
    answer = ask("converge")
    assert len(answer["jobs"]) == 4
    found: dict[str, dict[str, Any]] = {}
    order = []
    for work in works(api):
        order.append(next(iter(next(iter(work.items.values())))))
        for kinds in work.items.values():
            found |= {item["id"]: item for items in kinds.values() for item in items}
    assert found[ids["server"]] == {"id": ids["server"], "state": "absent"}
    assert found[ids["network"]] == {"id": ids["network"], "state": "absent"}
    assert found[ids["image"]]["state"] == "absent"
    assert order.index("servers") < order.index("images"), "its directory keeps the image"
    part = found[server.network]
    assert [(entry["id"], entry["state"]) for entry in part["ports"]] == [(ids["port"], "absent")]
    assert part["former_peers"] == ["203.0.113.9"]
    assert server.get().status == "ACTIVE"


def test_items_that_the_api_did_not_create_are_no_leftovers(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    declared = "0a0b0c0d-0000-5000-8000-000000000001"  # as playbooks/cloud.yml derives them from names
    own = {"name": server.tap, "id": server.network, "port_id": server.port, "peer": None}
    peer = {"name": "vx1", "id": server.network, "port_id": None, "peer": "198.51.100.2"}
    hosts.domains[server.host] = [{"id": one, "power": "running", "reason": None} for one in (server.id, declared)]
    hosts.mark(
        server.host,
        server_disk=[{"id": one, "disk": True, "image_id": None} for one in (server.id, declared)],
        ovs_network=[own, peer, {"name": "tap1", "id": declared, "port_id": declared, "peer": None}],
        dhcp_network=[{"id": declared, "ports": []}, {"id": server.network, "ports": [server.port]}],
        image_cache=[{"id": declared}, {"id": str(server.get().image_id)}],
    )
    assert ask()["state"] == "clean"


def test_a_machine_that_is_registered_twice_has_no_leftovers(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    """Items of one host would be removed as leftovers of the other."""
    other = ({"h1", "h2"} - {server.host}).pop()
    hosts.domains = {name: [{"id": server.id, "power": "running", "reason": None}] for name in ("h1", "h2")}
    assert [one["host"] for one in ask()["leftovers"]] == [other]
    hosts.boots = {"h1": "same", "h2": "same"}
    report = ask()
    assert (report["state"], report["leftovers"]) == ("incomplete", [])
    assert {one["reason"] for one in report["not_checked"]} == {f"it is the same machine as {n}" for n in ("h1", "h2")}


def test_items_of_running_jobs_are_no_leftovers(
    api: Api, ask: Ask, hosts: FakeHosts, demo: Connection, fixtures: Fixtures
) -> None:
    """A server that was on its host during the comparison, but not in the records before or after it."""
    nova = Nova(demo, api.url)

    def meanwhile() -> None:
        hosts.meanwhile = None
        identifier = nova("POST", "/servers", fixtures.body("short")).json()["server"]["id"]
        works(api)
        made = Made(api, identifier)
        nova("DELETE", f"/servers/{identifier}")
        works(api)
        hosts.domains[made.host] = [{"id": identifier, "power": "running", "reason": None}]
        tap = {"name": made.tap, "id": made.network, "port_id": made.port, "peer": None}
        hosts.mark(made.host, ovs_network=[tap])

    # The hosts are asked for their marks first, so these are added afterwards.
    run = hosts.run

    def late(draft: Any, timeout_seconds: float) -> Any:
        if draft.playbook == "host":
            meanwhile()
        return run(draft, timeout_seconds)

    hosts.run = late  # type: ignore[method-assign]
    report = ask()
    assert report["leftovers"] == [] and hosts.marks


def test_a_leftover_that_has_a_record_by_now_stays(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    ids = leave(hosts, server.host, server.network)
    ask("converge")
    with api.cloud.database.write() as session:
        row = session.get_one(Server, server.id)
        columns = {column.name: getattr(row, column.name) for column in Server.__table__.columns}
        session.add(Server(**columns | {"id": ids["server"]}))
        session.add(Network(id=ids["network"], project_id=row.project_id, segmentation_id=4242))
        session.flush()
        session.add(NetworkHost(network_id=ids["network"], host=server.host))
    items = [item for work in works(api) for kinds in work.items.values() for some in kinds.values() for item in some]
    assert ids["server"] not in {item["id"] for item in items}
    assert [item["state"] for item in items if item["id"] == ids["network"]] == ["present"]
    with api.cloud.database.write() as session:
        session.get_one(Server, ids["server"]).deleted_at = utcnow()
        session.get_one(Network, ids["network"]).deleted_at = utcnow()


def test_one_host(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    other = ({"h1", "h2"} - {server.host}).pop()
    report = ask(host=other)
    assert (report["checked"]["hosts"], report["checked"]["servers"]) == (1, 0)
    assert ask(host=server.host)["checked"]["servers"] == 1
    ask(host="nowhere", expected=404)
    ask(host=5, expected=400)
    ask(nothing=1, expected=400)


def test_one_project(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    leave(hosts, server.host, server.network)
    killed(hosts, server, "crashed")
    report = ask(project="demo")
    assert report["checked"]["servers"] == 1 and report["leftovers"] == []
    assert set(texts(report)) == {server.id}
    assert ask(project="alt")["checked"]["servers"] == 0
    ask(project="nobody", expected=404)


def test_users_see_and_repair_only_their_own_resources(
    api: Api, ask_demo: Ask, hosts: FakeHosts, server: Made, alt: Connection
) -> None:
    leave(hosts, server.host, server.network)
    killed(hosts, server, "crashed")
    report = ask_demo()
    [one] = report["resources"]
    assert one["id"] == server.id
    assert set(one["differences"][0]) == {"module", "action", "state", "text"}
    assert report["leftovers"] == []
    hosts.silent = {"h1", "h2"}
    report = ask_demo(project="demo")
    assert report["not_checked"][0]["host"] is None
    assert "h1" not in str(report) and "h2" not in str(report)
    hosts.silent = set()
    other = asking(alt, api)
    assert other()["checked"]["servers"] == 0
    assert other("converge")["jobs"] == []
    for refused in ({"host": server.host}, {"project": "alt"}, {"project": "nobody"}, {"host": "nowhere"}):
        for path in ("drift", "converge"):
            ask_demo(path, expected=403, **refused)
    assert jobs_of(ask_demo("converge")) == {("server", "converge", server.id)}
    works(api)


def test_requests_that_policy_refuses(api: Api, admin: Connection) -> None:
    assert requests.post(f"{api.url}/v1/drift", json={}, timeout=5).status_code == 401
    role = admin.identity.find_role("reader")
    project = admin.identity.find_project("demo")
    user = admin.identity.create_user(name="looker", password="secret-of-the-tests")
    admin.identity.assign_project_role_to_user(project, user, role)
    with api.connect("looker", "demo") as reader:
        asking(reader, api)("converge", expected=403)

"""Leftovers on hosts: listed and removed."""

from typing import Any

from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova
from contract.conftest import Api
from contract.drift_helpers import Ask, FakeHosts, Made, ask, fixtures, hosts, leave, server, works
from skywright.db import new_uuid, utcnow
from skywright.services.compute.tables import Server
from skywright.services.network.tables import Network, NetworkHost

__all__ = ["ask", "fixtures", "hosts", "server"]


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


def test_port_security_of_ports_without_a_record(api: Api, ask: Ask, hosts: FakeHosts, server: Made) -> None:
    port, network, other = new_uuid(), new_uuid(), new_uuid()
    marks = [{"id": server.network, "ports": [server.port, port]}, {"id": network, "ports": [other]}]
    hosts.mark(server.host, ovs_port_security=marks)
    leftovers = ask()["leftovers"]
    assert {(one["type"], one["id"], one["text"]) for one in leftovers} == {
        ("network", server.network, f"port security of port {port}"),
        ("network", network, f"port security of port {other}"),
    }
    assert len(ask("converge")["jobs"]) == 2
    items = [item for work in works(api) for item in work.items[server.host]["networks"]]
    found = {item["id"]: item for item in items}
    assert found[network] == {"id": network, "state": "absent"}
    assert [(entry["id"], entry["state"]) for entry in found[server.network]["ports"]] == [(port, "absent")]


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

"""Jobs of routers: their items on network hosts, and what their outcomes change."""

from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy import delete, select

from contract.compute_helpers import run_jobs
from contract.conftest import Api
from contract.network_helpers import request
from contract.router_helpers import Topology, change, interface, lift_quotas, make, make_topology, show
from recorded_hosts import observed
from skywright.core import Work
from skywright.db.jobs import Host, Job
from skywright.services.network.kinds.router import RouterKind
from skywright.services.network.router_tables import Router
from skywright.services.network.tables import NetworkHost, Port


@pytest.fixture(autouse=True)
def hosts(api: Api, admin: Connection, demo: Connection) -> None:
    lift_quotas(admin, demo)
    with api.cloud.database.write() as session:
        session.execute(delete(Host))
        for name, number in (("net1", 1), ("net2", 2)):
            variables = {"ansible_host": f"192.0.2.{number}", "vswitch_data_address": f"198.51.100.{number}/24"}
            session.add(observed(name, groups=["networks"], variables=variables))


@pytest.fixture
def topology(api: Api, admin: Connection, demo: Connection) -> Topology:
    """A router on a host."""
    made = make_topology(admin, demo)
    run_jobs(api.cloud)
    return made


def router_of(api: Api, identifier: str) -> Router:
    with api.cloud.database.read() as session:
        return session.get_one(Router, identifier)


def items(works: list[Work], host: str, kind: str = "routers") -> list[Any]:
    return [item for work in works for item in work.items.get(host, {}).get(kind, ())]


def test_an_empty_router_is_on_no_host(api: Api, demo: Connection) -> None:
    router = make(demo, "router")["id"]
    assert request(demo, "PUT", f"/routers/{router}", {"router": {"admin_state_up": False}}).status_code == 200
    assert run_jobs(api.cloud) == []
    assert request(demo, "DELETE", f"/routers/{router}").status_code == 204
    with api.cloud.database.read() as session:
        assert session.get(Router, router) is None


def test_the_item_of_a_router(api: Api, admin: Connection, demo: Connection) -> None:
    made = make_topology(admin, demo)
    assert show(demo, "router", made.router)["status"] == "BUILD"
    nexthop = "10.20.0.77"
    change(demo, "router", made.router, routes=[{"destination": "10.99.0.0/16", "nexthop": nexthop}])
    floating = make(demo, "floatingip", floating_network_id=made.external, port_id=made.port)
    spare = make(demo, "floatingip", floating_network_id=made.external)
    web = make(demo, "port", network_id=made.network)
    body = {"protocol": "tcp", "internal_port_id": web["id"], "external_port_range": "80:81", "internal_port": 8080}
    path = f"/floatingips/{spare['id']}/port_forwardings"
    forwarding = request(demo, "POST", path, {"port_forwarding": body}).json()["port_forwarding"]
    works = run_jobs(api.cloud)
    router = router_of(api, made.router)
    [gateway] = request(admin, "GET", f"/ports?device_owner=network:router_gateway&device_id={router.id}").json()[
        "ports"
    ]
    [inside] = request(demo, "GET", f"/ports?device_id={router.id}").json()["ports"]
    outside = gateway["fixed_ips"][0]["ip_address"]
    assert items(works, router.host)[-1] == {
        "id": router.id,
        "state": "present",
        "admin_state_up": True,
        "interfaces": [
            {
                "port_id": gateway["id"],
                "mac": gateway["mac_address"],
                "mtu": 1450,
                "addresses": [f"{outside}/24"],
                "external": True,
            },
            {
                "port_id": inside["id"],
                "mac": inside["mac_address"],
                "mtu": 1450,
                "addresses": ["10.20.0.1/24"],
                "external": False,
            },
        ],
        "gateways": ["203.0.0.1"],
        "enable_snat": True,
        "snat_address": outside,
        "routes": [{"destination": "10.99.0.0/16", "nexthop": nexthop}],
        "floating_ips": [
            {
                "id": floating["id"],
                "floating_ip_address": floating["floating_ip_address"],
                "fixed_ip_address": floating["fixed_ip_address"],
            }
        ],
        "port_forwardings": [
            {
                "id": forwarding["id"],
                "protocol": "tcp",
                "floating_ip_address": spare["floating_ip_address"],
                "external_port_min": 80,
                "external_port_max": 81,
                "internal_ip_address": web["fixed_ips"][0]["ip_address"],
                "internal_port_min": 8080,
                "internal_port_max": 8080,
            }
        ],
    }
    by_network = {item["id"]: item for item in items(works[:1], router.host, "networks")}
    [entry] = by_network[made.network]["ports"]
    assert {key: entry[key] for key in ("id", "device", "state", "port_security_enabled")} == {
        "id": inside["id"],
        "device": "veth",
        "state": "present",
        "port_security_enabled": False,
    }
    assert by_network[made.network]["dhcp"]["subnets"][0]["gateway_ip"] == "10.20.0.1"
    assert by_network[made.network]["dhcp"]["hosts"] == []  # servers ask for addresses, routers do not
    assert router.status == show(demo, "port", inside["id"])["status"] == "ACTIVE"
    assert {show(demo, "floatingip", each["id"])["status"] for each in (floating, spare)} == {"ACTIVE"}
    with api.cloud.database.read() as session:
        there = set(session.scalars(select(NetworkHost.network_id).where(NetworkHost.host == router.host)))
    assert {made.network, made.external} <= there


def test_routers_are_spread_over_the_network_hosts(api: Api, admin: Connection, demo: Connection) -> None:
    routers = []
    for _ in range(4):
        routers.append(make_topology(admin, demo).router)
        run_jobs(api.cloud)
    found = [router_of(api, router).host for router in routers]
    assert sorted(set(found)) == ["net1", "net2"]
    with api.cloud.database.write() as session:
        for host in session.scalars(select(Host)):
            host.state = "disabled"
    broken = make_topology(admin, demo).router
    run_jobs(api.cloud)
    assert router_of(api, broken).status == "ERROR"
    with api.cloud.database.read() as session:
        errors = session.scalars(select(Job.error).where(Job.playbook == "router", Job.state == "failed")).all()
    assert set(errors) == {"No host of the group networks is enabled."}


def test_removed_interfaces_leave_their_host(api: Api, demo: Connection, topology: Topology) -> None:
    host = router_of(api, topology.router).host
    port = interface(demo, topology.router, "remove", subnet_id=topology.subnet).json()["port_id"]
    works = run_jobs(api.cloud)
    [item] = items(works, host)
    assert [each["external"] for each in item["interfaces"]] == [True]
    entries = [entry for item in items(works, host, "networks") for entry in item["ports"] if entry["id"] == port]
    assert [entry["state"] for entry in entries] == ["absent"]
    change(demo, "router", topology.router, external_gateway_info=None)
    assert [item["state"] for item in items(run_jobs(api.cloud), host)] == ["absent"]
    assert router_of(api, topology.router).host == ""


def test_a_deleted_router_is_hidden_until_its_host_is_clean(api: Api, demo: Connection, topology: Topology) -> None:
    host = router_of(api, topology.router).host
    interface(demo, topology.router, "remove", subnet_id=topology.subnet)
    run_jobs(api.cloud)
    assert request(demo, "DELETE", f"/routers/{topology.router}").status_code == 204
    assert request(demo, "GET", f"/routers/{topology.router}").status_code == 404
    run_jobs(api.cloud, error="unreachable", unreachable=True)
    assert router_of(api, topology.router).deleted_at is not None
    with api.cloud.database.write() as session:
        for job in session.scalars(select(Job).where(Job.playbook == "router", Job.state == "queued")):
            job.not_before = None
    assert items(run_jobs(api.cloud), host) == [{"id": topology.router, "state": "absent"}]
    with api.cloud.database.read() as session:
        assert session.get(Router, topology.router) is None


def test_a_failed_job_is_shown_and_the_next_one_repairs(api: Api, demo: Connection, topology: Topology) -> None:
    change(demo, "router", topology.router, admin_state_up=False)
    run_jobs(api.cloud, error="nft: not found")
    assert show(demo, "router", topology.router)["status"] == "ERROR"
    change(demo, "router", topology.router, admin_state_up=True)
    run_jobs(api.cloud)
    assert show(demo, "router", topology.router)["status"] == "ACTIVE"


def test_a_floating_ip_is_active_when_its_last_job_ended(api: Api, demo: Connection, topology: Topology) -> None:
    made = make(demo, "floatingip", floating_network_id=topology.external, port_id=topology.port)["id"]
    assert show(demo, "floatingip", made)["status"] == "DOWN"
    run_jobs(api.cloud)
    assert show(demo, "floatingip", made)["status"] == "ACTIVE"
    change(demo, "floatingip", made, port_id=None)
    assert show(demo, "floatingip", made)["status"] == "DOWN"
    [item] = items(run_jobs(api.cloud), router_of(api, topology.router).host)
    assert item["floating_ips"] == [] and show(demo, "floatingip", made)["status"] == "DOWN"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/networks/{network}", {"network": {"mtu": 1400}}),
        ("/networks/{network}", {"network": {"admin_state_up": False}}),
        ("/subnets/{outside}", {"subnet": {"gateway_ip": "203.0.0.254", "allocation_pools": []}}),
        ("/ports/{interface}", {"port": {"admin_state_up": False}}),
    ],
)
def test_changes_of_networks_reach_their_routers(  # noqa: PLR0917
    api: Api, admin: Connection, demo: Connection, topology: Topology, path: str, body: Any
) -> None:
    [port] = request(demo, "GET", f"/ports?device_id={topology.router}").json()["ports"]
    values = {"network": topology.network, "outside": topology.outside, "interface": port["id"]}
    assert request(admin, "PUT", path.format(**values), body).status_code == 200
    assert [item["id"] for item in items(run_jobs(api.cloud), router_of(api, topology.router).host)] == [
        topology.router
    ]


def test_a_removed_host_gives_its_routers_to_others(api: Api, topology: Topology) -> None:
    host = router_of(api, topology.router).host
    with api.cloud.database.write() as session:
        session.delete(session.get_one(Host, host))
        session.flush()
        RouterKind().host_removed(session, host, api.cloud)
    moved = {item["id"]: item for item in items(run_jobs(api.cloud), {"net1": "net2", "net2": "net1"}[host])}
    assert len(moved[topology.router]["interfaces"]) == 2
    assert router_of(api, topology.router).host not in ("", host)


def test_a_rebooted_host_gets_its_routers_again(api: Api, topology: Topology) -> None:
    host = router_of(api, topology.router).host
    with api.cloud.database.write() as session:
        RouterKind().host_booted(session, session.get_one(Host, host), api.cloud)
    assert topology.router in {item["id"] for item in items(run_jobs(api.cloud), host)}


def test_a_deleted_servers_port_frees_its_floating_ip(api: Api, demo: Connection, topology: Topology) -> None:
    made = make(demo, "floatingip", floating_network_id=topology.external, port_id=topology.port)["id"]
    run_jobs(api.cloud)
    assert request(demo, "DELETE", f"/ports/{topology.port}").status_code == 204
    [item] = items(run_jobs(api.cloud), router_of(api, topology.router).host)
    assert item["floating_ips"] == [] and show(demo, "floatingip", made)["router_id"] is None
    with api.cloud.database.read() as session:
        assert session.get(Port, topology.port) is None

"""Jobs of networks that are on hosts."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy import select

from contract.network_helpers import request
from skywright.db.jobs import Host, Job, JobResource
from skywright.services.compute.tables import Server
from skywright.services.network import ipam
from skywright.services.network.tables import Network, NetworkHost, Port


@pytest.fixture
def subnet(demo: Connection) -> Any:
    network = demo.network.create_network(name="private")
    return demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24")


@pytest.fixture(scope="module", autouse=True)
def host(api: Any) -> None:
    with api.cloud.database.write() as session:
        groups = ["computes", "networks"]
        session.add(Host(name="host1", groups=groups, variables={"vswitch_physical_networks": {"physnet1": "br-phy"}}))


@pytest.fixture
def on_host(api: Any, subnet: Any) -> str:
    """A network that is present on host1, with its DHCP port there; return its id."""
    with api.cloud.database.write() as session:
        network = session.get_one(Network, subnet.network_id)
        session.add(NetworkHost(network_id=network.id, host="host1"))
        ipam.create_port(session, network, network.project_id, device_owner=ipam.DHCP_OWNER, host="host1")
    return str(subnet.network_id)


@pytest.fixture
def attached(api: Any, on_host: str) -> Iterator[str]:
    """Return the id of a port that a server uses."""
    with api.cloud.database.write() as session:
        network = session.get_one(Network, on_host)
        flavor = {"flavor": {}, "vcpus": 1, "ram_mib": 1, "disk_gib": 1}
        server = Server(project_id=network.project_id, user_id="u", name="s", host="host1", **flavor)
        session.add(server)
        session.flush()
        port = ipam.create_port(session, network, network.project_id, device_id=server.id, host="host1")
    yield port.id
    with api.cloud.database.write() as session:
        ipam.delete_port(session, session.get_one(Port, port.id))


def jobs(api: Any, network_id: str) -> list[tuple[str, dict[str, Any]]]:
    with api.cloud.database.read() as session:
        found = session.scalars(select(Job).where(Job.playbook == "network").order_by(Job.sequence))
        return [(job.action, job.arguments) for job in found if job.arguments["network_id"] == network_id]


def test_a_network_on_no_host_is_deleted_at_once(api: Any, demo: Connection, subnet: Any) -> None:
    assert request(demo, "PUT", f"/subnets/{subnet.id}", {"subnet": {"enable_dhcp": False}}).status_code == 200
    assert request(demo, "DELETE", f"/networks/{subnet.network_id}").status_code == 204
    assert jobs(api, subnet.network_id) == []
    with api.cloud.database.read() as session:
        assert session.get(Network, subnet.network_id) is None


def test_a_deleted_network_is_hidden_until_a_job_has_removed_it_from_hosts(
    api: Any, demo: Connection, on_host: str
) -> None:
    assert request(demo, "DELETE", f"/networks/{on_host}").status_code == 204
    assert jobs(api, on_host) == [("delete", {"network_id": on_host, "dhcp_host": "host1"})]
    assert request(demo, "GET", f"/networks/{on_host}").status_code == 404
    assert request(demo, "DELETE", f"/networks/{on_host}").status_code == 404
    assert request(demo, "GET", f"/networks?id={on_host}").json() == {"networks": []}
    assert request(demo, "GET", f"/ports?network_id={on_host}").json() == {"ports": []}
    with api.cloud.database.read() as session:
        assert session.get_one(Network, on_host).deleted_at is not None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"enable_dhcp": False}, [("update")]),
        ({"dns_nameservers": ["8.8.8.8"]}, ["update"]),
        ({"name": "new"}, []),
    ],
)
def test_dhcp_settings_reach_the_host(  # noqa: PLR0917
    api: Any, demo: Connection, subnet: Any, on_host: str, values: dict[str, Any], expected: list[str]
) -> None:
    assert request(demo, "PUT", f"/subnets/{subnet.id}", {"subnet": values}).status_code == 200
    assert [action for action, _ in jobs(api, on_host)] == expected


def test_a_deleted_subnet_is_removed_from_the_dhcp_server(
    api: Any, demo: Connection, subnet: Any, on_host: str
) -> None:
    assert request(demo, "DELETE", f"/subnets/{subnet.id}").status_code == 204
    assert [action for action, _ in jobs(api, on_host)] == ["update"]
    (port,) = request(demo, "GET", f"/ports?network_id={on_host}").json()["ports"]
    assert (port["device_owner"], port["fixed_ips"]) == ("network:dhcp", [])


def test_users_cannot_change_the_dhcp_port(demo: Connection, on_host: str) -> None:
    (port,) = request(demo, "GET", f"/ports?network_id={on_host}").json()["ports"]
    assert request(demo, "DELETE", f"/ports/{port['id']}").status_code == 409


def test_changes_of_a_servers_port_are_limited(
    admin: Connection, demo: Connection, on_host: str, attached: str
) -> None:
    for values in ({"device_id": ""}, {"device_owner": "else"}):
        assert request(demo, "PUT", f"/ports/{attached}", {"port": values}).status_code == 409
    values = {"mac_address": "fa:16:3e:00:00:01"}
    assert request(demo, "PUT", f"/ports/{attached}", {"port": values}).status_code == 403  # for managers
    assert request(admin, "PUT", f"/ports/{attached}", {"port": values}).status_code == 409
    assert request(demo, "PUT", f"/ports/{attached}", {"port": {"name": "eth0"}}).status_code == 200
    assert request(demo, "DELETE", f"/networks/{on_host}").status_code == 409


def test_a_port_cannot_be_bound_to_a_server_by_its_device_id(alt: Connection, demo: Connection, attached: str) -> None:
    server = request(demo, "GET", f"/ports/{attached}").json()["port"]["device_id"]
    network = alt.network.create_network(name="mine")
    answer = request(alt, "POST", "/ports", {"port": {"network_id": network.id, "device_id": server}})
    assert answer.status_code == 409
    port = alt.network.create_port(network_id=network.id)
    assert request(alt, "PUT", f"/ports/{port.id}", {"port": {"device_id": server}}).status_code == 409
    alt.network.delete_port(port)
    alt.network.delete_network(network)


def test_new_addresses_of_a_servers_port_reach_the_dhcp_server(
    api: Any, demo: Connection, on_host: str, attached: str
) -> None:
    body = {"port": {"fixed_ips": [{"ip_address": "10.1.0.77"}]}}
    assert request(demo, "PUT", f"/ports/{attached}", body).status_code == 200
    assert server_jobs(api, attached) == ["replug"]
    assert jobs(api, on_host) == []


def server_jobs(api: Any, port_id: str) -> list[str]:
    with api.cloud.database.read() as session:
        mine = JobResource.resource_id == session.get_one(Port, port_id).device_id
        return list(session.scalars(select(Job.action).join(JobResource).where(mine).order_by(Job.sequence)))


def test_the_administrative_state_of_a_port_reaches_its_host(api: Any, demo: Connection, attached: str) -> None:
    with api.cloud.database.write() as session:
        session.get_one(Port, attached).status = "ACTIVE"
    for up, status in ((False, "DOWN"), (False, "DOWN"), (True, "ACTIVE")):
        assert demo.network.update_port(attached, is_admin_state_up=up).status == status
        assert attached in {port.id for port in demo.network.ports(status=status)}
    assert server_jobs(api, attached) == ["replug"], "one for all changes, while it is queued"


def test_the_administrative_state_of_a_network_reaches_its_hosts(
    api: Any, demo: Connection, on_host: str, attached: str
) -> None:
    with api.cloud.database.write() as session:
        session.get_one(Port, attached).status = "ACTIVE"
    for changes, status in (
        ({"is_admin_state_up": False}, "DOWN"),
        ({"name": "renamed"}, "DOWN"),
        ({"is_admin_state_up": True}, "ACTIVE"),
        ({"mtu": 1300}, "ACTIVE"),
    ):
        demo.network.update_network(on_host, **changes)
        assert demo.network.get_port(attached).status == status
        assert attached in {port.id for port in demo.network.ports(status=status)}
    assert [action for action, _ in jobs(api, on_host)] == ["update"] * 3
    assert server_jobs(api, attached) == ["replug"]


def test_physical_networks_must_exist_on_a_host(admin: Connection) -> None:
    body = {"provider:network_type": "vlan", "provider:physical_network": "physnet1"}
    first = request(admin, "POST", "/networks", {"network": body}).json()["network"]
    assert (first["provider:segmentation_id"], first["mtu"]) == (1, 1500)
    flat = {**body, "provider:network_type": "flat"}
    network = request(admin, "POST", "/networks", {"network": flat}).json()["network"]
    assert network["provider:segmentation_id"] is None
    assert request(admin, "POST", "/networks", {"network": flat}).status_code == 409
    unknown = {**body, "provider:physical_network": "nowhere"}
    assert request(admin, "POST", "/networks", {"network": unknown}).status_code == 400
    out = {**body, "provider:segmentation_id": 4095}
    assert request(admin, "POST", "/networks", {"network": out}).status_code == 400
    for each in (first, network):
        admin.network.delete_network(each["id"])

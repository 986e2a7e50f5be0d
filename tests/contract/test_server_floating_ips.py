"""Floating IPs of servers: in their addresses, and Nova's older calls."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Nova, add_hosts, add_image, run_jobs
from contract.conftest import Api
from contract.network_helpers import request
from contract.router_helpers import NOWHERE, Topology, change, lift_quotas, make, make_topology, show


@pytest.fixture(scope="module")
def topology(api: Api) -> Topology:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        lift_quotas(admin, demo)
        return make_topology(admin, demo)


@pytest.fixture(scope="module")
def server(api: Api, topology: Topology) -> str:
    """A server with the topology's port."""
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        flavor = admin.compute.create_flavor(name="small", vcpus=1, ram=128, disk=1)
        body = {"name": "web", "imageRef": add_image(api.cloud), "flavorRef": flavor.id}
        body["networks"] = [{"port": topology.port}]
        made = Nova(demo, api.url)("POST", "/servers", {"server": body}).json()["server"]["id"]
    run_jobs(api.cloud)
    return str(made)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url, "2.35")


@pytest.fixture
def floating(demo: Connection, topology: Topology) -> Any:
    made = make(demo, "floatingip", floating_network_id=topology.external)
    yield made
    request(demo, "DELETE", f"/floatingips/{made['id']}")


def addresses(nova: Nova, server: str) -> list[tuple[str, str]]:
    [found] = nova("GET", f"/servers/{server}").json()["server"]["addresses"].values()
    assert len({each["OS-EXT-IPS-MAC:mac_addr"] for each in found}) == 1
    return [(each["addr"], each["OS-EXT-IPS:type"]) for each in found]


def act(nova: Nova, server: str, action: str, version: str = "2.43", **argument: str) -> Any:
    return nova("POST", f"/servers/{server}/action", {action: argument}, version=version)


def test_addresses_show_it(demo: Connection, nova: Nova, server: str, floating: Any, topology: Topology) -> None:
    [fixed] = addresses(nova, server)
    assert fixed[1] == "fixed"
    change(demo, "floatingip", floating["id"], port_id=topology.port)
    assert addresses(nova, server) == [fixed, (floating["floating_ip_address"], "floating")]
    ips = nova("GET", f"/servers/{server}/ips").json()["addresses"]["private"]
    assert [each["addr"] for each in ips] == [fixed[0], floating["floating_ip_address"]]
    listed = nova("GET", "/servers/detail").json()["servers"][0]["addresses"]["private"]
    assert [each["OS-EXT-IPS:type"] for each in listed] == ["fixed", "floating"]


def test_the_actions(demo: Connection, nova: Nova, server: str, floating: Any, topology: Topology) -> None:
    address = floating["floating_ip_address"]
    [(fixed, _)] = addresses(nova, server)
    assert act(nova, server, "addFloatingIp", address=address).status_code == 202
    seen = show(demo, "floatingip", floating["id"])
    assert (seen["port_id"], seen["fixed_ip_address"], seen["port_details"]["device_id"]) == (
        topology.port,
        fixed,
        server,
    )
    other = make(demo, "floatingip", floating_network_id=topology.external)
    again = act(nova, server, "addFloatingIp", address=other["floating_ip_address"])
    assert again.status_code == 400 and "already has a floating IP" in again.text
    not_there = act(nova, server, "removeFloatingIp", address=other["floating_ip_address"])
    assert not_there.status_code == 409
    assert act(nova, server, "removeFloatingIp", address=address).status_code == 202
    assert show(demo, "floatingip", floating["id"])["port_id"] is None
    assert request(demo, "DELETE", f"/floatingips/{other['id']}").status_code == 204


@pytest.mark.parametrize(
    ("argument", "status", "message"),
    [
        ({"address": "203.0.0.250"}, 404, "floating IP not found"),
        ({"address": "FLOATING", "fixed_address": "10.20.0.250"}, 400, "Specified fixed address not assigned"),
        ({"address": "x"}, 400, "'x' is not a 'ip'"),
        ({}, 400, "'address' is a required property"),
    ],
)
def test_invalid_actions_are_refused(  # noqa: PLR0917
    nova: Nova, server: str, floating: Any, argument: dict[str, str], status: int, message: str
) -> None:
    given = {name: value.replace("FLOATING", floating["floating_ip_address"]) for name, value in argument.items()}
    answer = act(nova, server, "addFloatingIp", **given)
    assert answer.status_code == status and message in answer.text, answer.text


def test_newer_microversions_have_no_such_calls(nova: Nova, server: str, floating: Any) -> None:
    address = floating["floating_ip_address"]
    assert act(nova, server, "addFloatingIp", "2.44", address=address).status_code == 404
    assert act(nova, server, "removeFloatingIp", "2.44", address=address).status_code == 404
    for path in ("/os-floating-ips", f"/os-floating-ips/{floating['id']}", "/os-floating-ip-pools"):
        assert nova("GET", path).status_code == 200
        assert nova("GET", path, version="2.36").status_code == 404


def test_the_calls_for_floating_ips(api: Api, admin: Connection, nova: Nova, topology: Topology) -> None:
    assert nova("GET", "/os-floating-ip-pools").json() == {"floating_ip_pools": [{"name": "public"}]}
    made = nova("POST", "/os-floating-ips", {"pool": "public"}).json()["floating_ip"]
    assert (made["fixed_ip"], made["instance_id"], made["pool"]) == (None, None, "public")
    assert nova("GET", f"/os-floating-ips/{made['id']}").json() == {"floating_ip": made}
    assert made in nova("GET", "/os-floating-ips").json()["floating_ips"]
    assert nova("DELETE", f"/os-floating-ips/{made['id']}").status_code == 202
    gone = nova("GET", f"/os-floating-ips/{made['id']}")
    assert gone.status_code == 404 and f"Floating IP not found for ID {made['id']}" in gone.text
    assert nova("POST", "/os-floating-ips", {"pool": "none"}).status_code == 404
    assert nova("POST", "/os-floating-ips", {"nonsense": 1}).status_code == 400
    default = nova("POST", "/os-floating-ips").json()["floating_ip"]  # there is only one external network
    assert default["pool"] == "public"
    assert nova("DELETE", f"/os-floating-ips/{default['id']}").status_code == 202
    project = {"quota": {"floatingip": 0}}
    with api.connect("demo", "demo") as demo:
        path = f"/quotas/{demo.current_project_id}"
    assert request(admin, "PUT", path, project | {"quota": {"floatingip": 0, "force": True}}).status_code == 200
    refused = nova("POST", "/os-floating-ips", {"pool": "public"})
    assert refused.status_code == 403 and "IP allocation over quota in pool public." in refused.text
    assert request(admin, "PUT", path, {"quota": {"floatingip": -1}}).status_code == 200


def test_other_projects_floating_ips_are_not_there(api: Api, alt: Connection, floating: Any, server: str) -> None:
    nova = Nova(alt, api.url, "2.35")
    assert nova("GET", f"/os-floating-ips/{floating['id']}").status_code == 404
    assert nova("DELETE", f"/os-floating-ips/{floating['id']}").status_code == 404
    assert nova("GET", "/os-floating-ips").json() == {"floating_ips": []}
    assert act(nova, server, "addFloatingIp", address=floating["floating_ip_address"]).status_code == 404


def test_servers_are_not_on_external_networks(demo: Connection, nova: Nova, server: str, topology: Topology) -> None:
    image = nova("GET", f"/servers/{server}").json()["server"]
    body = {"name": "x", "imageRef": image["image"]["id"], "flavorRef": image["flavor"]["id"]}
    body["networks"] = [{"uuid": topology.external}]
    refused = nova("POST", "/servers", {"server": body})
    assert refused.status_code == 403
    assert f"It is not allowed to create an interface on external network {topology.external}" in refused.text
    body["networks"] = [{"uuid": NOWHERE}]
    assert nova("POST", "/servers", {"server": body}).status_code == 400


def test_a_deleted_server_frees_its_floating_ip(
    api: Api, demo: Connection, nova: Nova, server: str, topology: Topology
) -> None:
    shown = nova("GET", f"/servers/{server}").json()["server"]
    body = {"name": "y", "imageRef": shown["image"]["id"], "flavorRef": shown["flavor"]["id"]}
    body["networks"] = [{"uuid": topology.network}]
    made = nova("POST", "/servers", {"server": body}).json()["server"]["id"]
    run_jobs(api.cloud)
    [port] = request(demo, "GET", f"/ports?device_id={made}").json()["ports"]
    floating = make(demo, "floatingip", floating_network_id=topology.external, port_id=port["id"])["id"]
    run_jobs(api.cloud)
    assert nova("DELETE", f"/servers/{made}").status_code == 204
    works = run_jobs(api.cloud)
    left = show(demo, "floatingip", floating)
    assert (left["port_id"], left["router_id"], left["status"]) == (None, None, "DOWN")
    [item] = [item for work in works for item in work.items.get("h1", {}).get("routers", ())]
    assert item["floating_ips"] == []

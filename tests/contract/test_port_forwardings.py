"""Port forwardings of floating IPs."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import request
from contract.router_helpers import NOWHERE, Topology, interface, lift_quotas, make, make_topology, refusal, show


@pytest.fixture
def topology(admin: Connection, demo: Connection) -> Topology:
    lift_quotas(admin, demo)
    return make_topology(admin, demo)


@pytest.fixture
def floating(demo: Connection, topology: Topology) -> str:
    return str(make(demo, "floatingip", floating_network_id=topology.external)["id"])


def forward(demo: Connection, floating: str, topology: Topology, **values: Any) -> Any:
    body = {"protocol": "tcp", "internal_port_id": topology.port} | values
    return request(demo, "POST", f"/floatingips/{floating}/port_forwardings", {"port_forwarding": body})


def test_one_port(demo: Connection, floating: str, topology: Topology) -> None:
    made = forward(demo, floating, topology, external_port=2222, internal_port=22, description="ssh").json()
    made = made["port_forwarding"]
    address = show(demo, "port", topology.port)["fixed_ips"][0]["ip_address"]
    assert made == {
        "id": made["id"],
        "description": "ssh",
        "protocol": "tcp",
        "internal_port_id": topology.port,
        "internal_ip_address": address,
        "external_port": 2222,
        "external_port_range": "2222:2222",
        "internal_port": 22,
        "internal_port_range": "22:22",
    }
    seen = show(demo, "floatingip", floating)
    assert (seen["router_id"], seen["port_id"], seen["status"]) == (topology.router, None, "DOWN")
    assert [each["external_port"] for each in seen["port_forwardings"]] == [2222]
    path = f"/floatingips/{floating}/port_forwardings"
    assert request(demo, "GET", f"{path}?protocol=tcp&external_port=2222").json()["port_forwardings"] == [made]
    assert request(demo, "GET", f"{path}/{made['id']}").json() == {"port_forwarding": made}
    body = {"port_forwarding": {"external_port": 2223, "protocol": "udp"}}
    changed = request(demo, "PUT", f"{path}/{made['id']}", body).json()["port_forwarding"]
    assert (changed["external_port"], changed["protocol"], changed["internal_port"]) == (2223, "udp", 22)
    assert request(demo, "DELETE", f"{path}/{made['id']}").status_code == 204
    assert show(demo, "floatingip", floating)["router_id"] is None
    text = f"Port Forwarding {made['id']} could not be found."
    assert refusal(request(demo, "GET", f"{path}/{made['id']}")) == (404, "PortForwardingNotFound", text)


def test_ranges(demo: Connection, floating: str, topology: Topology) -> None:
    made = forward(demo, floating, topology, external_port_range="8000:8009", internal_port_range="80:89").json()
    assert made["port_forwarding"]["external_port"] is None
    assert made["port_forwarding"]["internal_port_range"] == "80:89"
    assert forward(demo, floating, topology, external_port_range="9000:9009", internal_port=443).status_code == 201
    for values, part in (
        ({"external_port_range": "8005:8006", "internal_port": 1}, "external_port_range. The following ranges collide"),
        (
            {"external_port": 1, "internal_port": 85},
            "internal_port_range. The following ranges collide: 80:89 and 85:85",
        ),
        ({"external_port_range": "1:3", "internal_port_range": "1:2"}, "must be N-N or 1-N"),
        ({"external_port_range": "9:1", "internal_port": 1}, "'9:1' is not a valid range"),
        ({"external_port_range": "1:70000", "internal_port": 1}, "'1:70000' is not a valid range"),
        ({"external_port": 1, "external_port_range": "1:2", "internal_port": 1}, "cannot both be specified"),
        ({"external_port": 1}, "internal_port or internal_port_range must be specified"),
        ({"external_port": 0, "internal_port": 1}, "too small"),
        ({"external_port": 1, "internal_port": 1, "protocol": "icmp"}, "is not in ['tcp', 'udp']"),
    ):
        answer = forward(demo, floating, topology, **values)
        assert answer.status_code == 400 and part in refusal(answer)[2], answer.text
    assert forward(demo, floating, topology, external_port=8001, internal_port=81, protocol="udp").status_code == 201


def test_what_it_needs_stays(demo: Connection, floating: str, topology: Topology) -> None:
    made = forward(demo, floating, topology, external_port=1, internal_port=1).json()["port_forwarding"]["id"]
    in_use = f"Floating IP {floating} in use by Port Forwarding resources."
    assert refusal(request(demo, "DELETE", f"/floatingips/{floating}")) == (409, "FipInUseByPortForwarding", in_use)
    body = {"floatingip": {"port_id": topology.port}}
    assert refusal(request(demo, "PUT", f"/floatingips/{floating}", body)) == (409, "FipInUseByPortForwarding", in_use)
    removed = interface(demo, topology.router, "remove", subnet_id=topology.subnet)
    assert refusal(removed)[:2] == (409, "RouterInterfaceInUseByFloatingIP")
    assert request(demo, "DELETE", f"/ports/{topology.port}").status_code == 204
    assert request(demo, "GET", f"/floatingips/{floating}/port_forwardings/{made}").status_code == 404
    assert show(demo, "floatingip", floating)["router_id"] is None


def test_ports_that_cannot_be_reached_are_refused(demo: Connection, floating: str, topology: Topology) -> None:
    network = make(demo, "network")["id"]
    make(demo, "subnet", network_id=network, ip_version=4, cidr="10.30.0.0/24")
    port = make(demo, "port", network_id=network)["id"]
    ports = {"external_port": 1, "internal_port": 1}
    refused = refusal(forward(demo, floating, topology, internal_port_id=port, **ports))
    assert refused[:2] == (400, "BadRequest") and "is not reachable from subnet" in refused[2]
    assert forward(demo, floating, topology, internal_port_id=NOWHERE, **ports).status_code == 404
    address = forward(demo, floating, topology, internal_ip_address="10.20.0.250", **ports)
    assert "is not suitable for internal neutron port" in refusal(address)[2]
    bound = make(demo, "floatingip", floating_network_id=topology.external, port_id=topology.port)["id"]
    assert refusal(forward(demo, floating, topology, **ports))[:2] == (409, "PortHasBindingFloatingIP")
    assert refusal(forward(demo, bound, topology, **ports))[:2] == (409, "FloatingIPPortAlreadyAssociated")

"""Floating IPs, with Neutron's status, types and words of errors."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import request
from contract.router_helpers import (
    NOWHERE,
    Topology,
    change,
    interface,
    lift_quotas,
    make,
    make_topology,
    refusal,
    show,
)


@pytest.fixture
def topology(admin: Connection, demo: Connection) -> Topology:
    lift_quotas(admin, demo)
    return make_topology(admin, demo)


def address_of(demo: Connection, port: str) -> str:
    return str(show(demo, "port", port)["fixed_ips"][0]["ip_address"])


def create(connection: Connection, topology: Topology, **values: Any) -> Any:
    body = {"floatingip": {"floating_network_id": topology.external} | values}
    return request(connection, "POST", "/floatingips", body)


def test_a_floating_ip_that_leads_nowhere(admin: Connection, demo: Connection, topology: Topology) -> None:
    made = create(demo, topology, description="spare").json()["floatingip"]
    assert {key: made[key] for key in ("port_id", "fixed_ip_address", "router_id", "status", "port_details")} == {
        "port_id": None,
        "fixed_ip_address": None,
        "router_id": None,
        "status": "DOWN",
        "port_details": None,
    }
    assert made["floating_ip_address"].startswith("203.0.0.") and made["description"] == "spare"
    assert made["port_forwardings"] == [] and "name" not in made
    assert change(demo, "floatingip", made["id"], description="kept")["description"] == "kept"
    assert request(demo, "PUT", f"/floatingips/{made['id']}/tags/blue").status_code == 201
    for query in (f"floating_ip_address={made['floating_ip_address']}", "tags=blue", "description=kept"):
        assert [row["id"] for row in request(demo, "GET", f"/floatingips?{query}").json()["floatingips"]] == [
            made["id"]
        ]
    [port] = request(admin, "GET", f"/ports?device_id={made['id']}").json()["ports"]
    assert (port["device_owner"], port["status"], port["project_id"]) == ("network:floatingip", "N/A", "")
    assert refusal(request(admin, "DELETE", f"/ports/{port['id']}"))[:2] == (409, "ServicePortInUse")
    assert request(demo, "DELETE", f"/floatingips/{made['id']}").status_code == 204
    assert request(admin, "GET", f"/ports/{port['id']}").status_code == 404
    text = f"Floating IP {made['id']} could not be found"
    assert refusal(request(demo, "GET", f"/floatingips/{made['id']}")) == (404, "FloatingIPNotFound", text)


def test_it_is_associated_moved_and_disassociated(demo: Connection, topology: Topology) -> None:
    made = create(demo, topology, port_id=topology.port).json()["floatingip"]
    assert (made["port_id"], made["router_id"]) == (topology.port, topology.router)
    assert made["fixed_ip_address"] == address_of(demo, topology.port)
    details = made["port_details"]
    assert (details["network_id"], details["device_id"], details["status"]) == (topology.network, "", "DOWN")
    other = make(demo, "port", network_id=topology.network)["id"]
    moved = change(demo, "floatingip", made["id"], port_id=other)
    assert (moved["port_id"], moved["fixed_ip_address"]) == (other, address_of(demo, other))
    assert change(demo, "floatingip", made["id"], description="d")["port_id"] == other
    released = change(demo, "floatingip", made["id"], port_id=None)
    assert (released["port_id"], released["fixed_ip_address"], released["router_id"]) == (None, None, None)


def test_a_deleted_port_loses_it(demo: Connection, topology: Topology) -> None:
    made = create(demo, topology, port_id=topology.port).json()["floatingip"]
    assert request(demo, "DELETE", f"/ports/{topology.port}").status_code == 204
    left = show(demo, "floatingip", made["id"])
    assert (left["port_id"], left["router_id"], left["status"]) == (None, None, "DOWN")


def test_routers_and_addresses_that_it_needs_stay(demo: Connection, topology: Topology) -> None:
    made = create(demo, topology, port_id=topology.port).json()["floatingip"]
    text = f"Router interface for subnet {topology.subnet} on router {topology.router} cannot be deleted, as it is "
    text += "required by one or more floating IPs."
    removed = interface(demo, topology.router, "remove", subnet_id=topology.subnet)
    assert refusal(removed) == (409, "RouterInterfaceInUseByFloatingIP", text)
    text = f"Gateway cannot be updated for router {topology.router}, since a gateway to external network "
    text += f"{topology.external} is required by one or more floating IPs."
    body = {"router": {"external_gateway_info": None}}
    cleared = request(demo, "PUT", f"/routers/{topology.router}", body)
    assert refusal(cleared) == (409, "RouterExternalGatewayInUseByFloatingIp", text)
    values = {"fixed_ips": [{"ip_address": "10.20.0.200"}]}
    moved = refusal(request(demo, "PUT", f"/ports/{topology.port}", {"port": values}))
    assert moved[:2] == (400, "BadRequest") and "has been associated to a floating ip" in moved[2]
    assert change(demo, "floatingip", made["id"], port_id=None)["router_id"] is None
    assert interface(demo, topology.router, "remove", subnet_id=topology.subnet).status_code == 200


def test_a_chosen_address_is_for_managers(admin: Connection, demo: Connection, topology: Topology) -> None:
    assert create(demo, topology, floating_ip_address="203.0.0.99").status_code == 403
    made = create(admin, topology, floating_ip_address="203.0.0.99").json()["floatingip"]
    assert made["floating_ip_address"] == "203.0.0.99"
    taken = create(admin, topology, floating_ip_address="203.0.0.99")
    assert refusal(taken)[:2] == (409, "IpAddressAlreadyAllocated")
    outside = create(admin, topology, subnet_id=topology.outside, floating_ip_address="192.0.2.9")
    assert refusal(outside)[:2] == (400, "InvalidIpForSubnet")
    assert create(demo, topology, subnet_id=topology.outside).status_code == 201


def test_a_port_that_no_router_connects_is_refused(demo: Connection, topology: Topology) -> None:
    network = make(demo, "network")["id"]
    subnet = make(demo, "subnet", network_id=network, ip_version=4, cidr="10.30.0.0/24")["id"]
    port = make(demo, "port", network_id=network)["id"]
    text = f"External network {topology.external} is not reachable from subnet {subnet}.  Therefore, cannot associate "
    text += f"Port {port} with a Floating IP."
    assert refusal(create(demo, topology, port_id=port)) == (404, "ExternalGatewayForFloatingIPNotFound", text)


def test_ports_that_cannot_have_one_are_refused(admin: Connection, demo: Connection, topology: Topology) -> None:
    bare = make(demo, "port", network_id=topology.network, fixed_ips=[])["id"]
    text = f"Bad floatingip request: Cannot add floating IP to port {bare} that has no fixed IPv4 addresses."
    assert refusal(create(demo, topology, port_id=bare)) == (400, "BadRequest", text)
    two = [{"ip_address": "10.20.0.101"}, {"ip_address": "10.20.0.102"}]
    port = make(demo, "port", network_id=topology.network, fixed_ips=two)["id"]
    text = f"Bad floatingip request: Port {port} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 "
    text += "address when assigning a floating IP."
    assert refusal(create(demo, topology, port_id=port)) == (400, "BadRequest", text)
    text = f"Bad floatingip request: Port {port} does not have fixed ip 10.20.0.99."
    other = create(demo, topology, port_id=port, fixed_ip_address="10.20.0.99")
    assert refusal(other) == (400, "BadRequest", text)
    text = "Bad floatingip request: fixed_ip_address cannot be specified without a port_id."
    assert refusal(create(demo, topology, fixed_ip_address="10.20.0.101")) == (400, "BadRequest", text)
    for last in ("101", "102"):  # one for each address
        assert create(demo, topology, port_id=port, fixed_ip_address=f"10.20.0.{last}").status_code == 201
    again = create(demo, topology, port_id=port, fixed_ip_address="10.20.0.101")
    assert refusal(again)[:2] == (409, "FloatingIPPortAlreadyAssociated")
    [gateway] = request(demo, "GET", f"/ports?device_id={topology.router}").json()["ports"]
    text = f"Bad floatingip request: Port {gateway['id']} is unable to be assigned a floating IP."
    assert refusal(create(demo, topology, port_id=gateway["id"])) == (400, "BadRequest", text)
    assert refusal(create(demo, topology, port_id=NOWHERE))[:2] == (404, "PortNotFound")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dns_name": "www"}, "Unrecognized attribute(s) 'dns_name'"),
        ({"qos_policy_id": NOWHERE}, "Unrecognized attribute(s) 'qos_policy_id'"),
        ({"router_id": NOWHERE}, "Unrecognized attribute(s) 'router_id'"),
        ({"floating_network_id": "x"}, "Invalid input for floating_network_id. Reason: 'x' is not a valid UUID."),
    ],
)
def test_invalid_bodies_are_refused(demo: Connection, topology: Topology, values: Any, message: str) -> None:
    answer = create(demo, topology, **values)
    assert (answer.status_code, refusal(answer)[2]) == (400, message)


def test_it_needs_an_external_network_with_ipv4(admin: Connection, demo: Connection, topology: Topology) -> None:
    text = f"Bad floatingip request: Network {topology.network} is not a valid external network."
    body = {"floatingip": {"floating_network_id": topology.network}}
    assert refusal(request(demo, "POST", "/floatingips", body)) == (400, "BadRequest", text)
    network = make(admin, "network", **{"router:external": True})["id"]
    make(admin, "subnet", network_id=network, ip_version=6, cidr="fd00:9::/64", enable_dhcp=False)
    text = f"Bad floatingip request: Network {network} does not contain any IPv4 subnet."
    body = {"floatingip": {"floating_network_id": network}}
    assert refusal(request(demo, "POST", "/floatingips", body)) == (400, "BadRequest", text)


def test_projects_see_only_their_own(admin: Connection, demo: Connection, alt: Connection, topology: Topology) -> None:
    made = create(demo, topology).json()["floatingip"]["id"]
    assert request(alt, "GET", "/floatingips").json() == {"floatingips": []}
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"floatingip": {"description": "mine"}}),
        ("DELETE", "", None),
        ("GET", "/tags", None),
        ("GET", "/port_forwardings", None),
        ("POST", "/port_forwardings", {"port_forwarding": {}}),
    ):
        assert request(alt, method, f"/floatingips/{made}{path}", body).status_code == 404, path
    theirs = create(alt, topology).json()["floatingip"]["id"]
    stolen = request(alt, "PUT", f"/floatingips/{theirs}", {"floatingip": {"port_id": topology.port}})
    assert refusal(stolen)[:2] == (404, "PortNotFound")
    # An administrator may do it; the port's owner cannot delete the port then.
    assert change(admin, "floatingip", theirs, port_id=topology.port)["port_id"] == topology.port
    assert refusal(request(demo, "DELETE", f"/ports/{topology.port}"))[:2] == (409, "FipAssociated")
    assert request(alt, "DELETE", f"/floatingips/{theirs}").status_code == 204


def test_the_pools(demo: Connection, topology: Topology) -> None:
    pools = request(demo, "GET", f"/floatingip_pools?network_id={topology.external}").json()["floatingip_pools"]
    assert [(pool["subnet_id"], pool["cidr"]) for pool in pools] == [(topology.outside, "203.0.0.0/24")]


def test_unused_ones_go_with_their_network(admin: Connection, demo: Connection, topology: Topology) -> None:
    network = make(admin, "network", **{"router:external": True})["id"]
    make(admin, "subnet", network_id=network, ip_version=4, cidr="203.0.116.0/24", enable_dhcp=False)
    made = make(demo, "floatingip", floating_network_id=network)["id"]
    assert request(admin, "DELETE", f"/networks/{network}").status_code == 204
    assert request(demo, "GET", f"/floatingips/{made}").status_code == 404

"""Routers, with Neutron's status, types and words of errors."""

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


@pytest.fixture(autouse=True)
def no_limits(admin: Connection, demo: Connection) -> None:
    lift_quotas(admin, demo)


@pytest.fixture
def external(admin: Connection) -> str:
    network = str(make(admin, "network", name="public", **{"router:external": True})["id"])
    make(admin, "subnet", network_id=network, ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    return network


@pytest.fixture
def topology(admin: Connection, demo: Connection) -> Topology:
    return make_topology(admin, demo)


def make_subnet(connection: Connection, cidr: str, **values: Any) -> Any:
    network = make(connection, "network")["id"]
    return make(connection, "subnet", network_id=network, ip_version=6 if ":" in cidr else 4, cidr=cidr, **values)


def test_a_router_without_anything(demo: Connection) -> None:
    router = make(demo, "router", name="r", description="d")
    assert {key: router[key] for key in ("name", "description", "status", "admin_state_up", "routes")} == {
        "name": "r",
        "description": "d",
        "status": "ACTIVE",
        "admin_state_up": True,
        "routes": [],
    }
    assert router["external_gateway_info"] is None
    assert router["project_id"] == router["tenant_id"] == demo.current_project_id
    assert "ha" not in router and "distributed" not in router
    changed = change(demo, "router", router["id"], name="s", admin_state_up=False)
    assert (changed["name"], changed["admin_state_up"]) == ("s", False)
    assert changed["revision_number"] == router["revision_number"] + 1
    assert [row["id"] for row in request(demo, "GET", "/routers?name=s").json()["routers"]] == [router["id"]]
    stale = {"If-Match": f"revision_number={router['revision_number']}"}
    assert request(demo, "PUT", f"/routers/{router['id']}", {"router": {"name": "t"}}, headers=stale).status_code == 412
    assert request(demo, "PUT", f"/routers/{router['id']}/tags/blue").status_code == 201
    assert [row["id"] for row in request(demo, "GET", "/routers?tags=blue").json()["routers"]] == [router["id"]]
    assert request(demo, "DELETE", f"/routers/{router['id']}").status_code == 204
    text = f"Router {router['id']} could not be found"
    assert refusal(request(demo, "GET", f"/routers/{router['id']}")) == (404, "RouterNotFound", text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ha": True}, "This cloud has no highly available routers yet"),
        ({"distributed": True}, "This cloud has no distributed routers yet"),
        ({"flavor_id": NOWHERE}, "Unrecognized attribute(s) 'flavor_id'"),
        ({"external_gateway_info": {"enable_snat": True}}, "'network_id' is missing"),
        ({"external_gateway_info": {"network_id": "x"}}, "'x' is not a valid UUID"),
        ({"routes": []}, "Unrecognized attribute(s) 'routes'"),
        ({"status": "DOWN"}, "Attribute 'status' not allowed in POST"),
    ],
)
def test_what_has_no_effect_is_refused(admin: Connection, values: dict[str, Any], message: str) -> None:
    answer = request(admin, "POST", "/routers", {"router": values})
    assert answer.status_code == 400 and message in refusal(answer)[2], answer.text


def test_administrators_see_that_a_router_is_not_distributed(admin: Connection) -> None:
    router = make(admin, "router", ha=False, distributed=False)
    assert (router["ha"], router["distributed"]) == (False, False)


def test_the_quota(admin: Connection, alt: Connection) -> None:
    project = alt.current_project_id
    assert request(alt, "GET", f"/quotas/{project}").json()["quota"]["router"] == 10
    assert request(admin, "PUT", f"/quotas/{project}", {"quota": {"router": 1, "floatingip": 0}}).status_code == 200
    first = make(alt, "router")["id"]
    text = "Quota exceeded for resources: ['router']."
    assert refusal(request(alt, "POST", "/routers", {"router": {}})) == (409, "OverQuota", text)
    details = request(alt, "GET", f"/quotas/{project}/details.json").json()["quota"]["router"]
    assert details == {"limit": 1, "used": 1, "reserved": 0}
    assert request(alt, "DELETE", f"/routers/{first}").status_code == 204
    assert request(admin, "DELETE", f"/quotas/{project}").status_code == 204


def test_a_gateway(admin: Connection, demo: Connection, external: str) -> None:
    router = make(demo, "router", external_gateway_info={"network_id": external})
    info = router["external_gateway_info"]
    assert info["network_id"] == external and info["enable_snat"] is True
    [address] = info["external_fixed_ips"]
    assert address["ip_address"].startswith("203.0.113.")
    # The port belongs to no project.
    assert request(demo, "GET", f"/ports?device_id={router['id']}").json() == {"ports": []}
    [port] = request(admin, "GET", f"/ports?device_id={router['id']}").json()["ports"]
    assert (port["device_owner"], port["project_id"]) == ("network:router_gateway", "")
    text = f"Port {port['id']} cannot be deleted directly via the port API: has device owner network:router_gateway."
    assert refusal(request(admin, "DELETE", f"/ports/{port['id']}")) == (409, "ServicePortInUse", text)
    assert refusal(request(admin, "DELETE", f"/networks/{external}"))[:2] == (409, "NetworkInUse")

    def gateway(connection: Connection, **values: Any) -> Any:
        body = {"router": {"external_gateway_info": {"network_id": external} | values}}
        return request(connection, "PUT", f"/routers/{router['id']}", body)

    for values in ({"enable_snat": False}, {"external_fixed_ips": [{"ip_address": "203.0.113.77"}]}):
        assert gateway(demo, **values).status_code == 403  # as in Neutron
    changed = gateway(admin, enable_snat=False, external_fixed_ips=[{"ip_address": "203.0.113.77"}]).json()["router"]
    assert changed["external_gateway_info"]["enable_snat"] is False
    assert [each["ip_address"] for each in changed["external_gateway_info"]["external_fixed_ips"]] == ["203.0.113.77"]
    same = "Bad router request: External IP 203.0.113.1 is the same as the gateway IP."
    assert refusal(gateway(admin, external_fixed_ips=[{"ip_address": "203.0.113.1"}])) == (400, "BadRequest", same)
    outside = gateway(admin, external_fixed_ips=[{"ip_address": "198.51.100.9"}])
    assert refusal(outside)[:2] == (400, "InvalidIpForNetwork")
    cleared = change(demo, "router", router["id"], external_gateway_info={})
    assert cleared["external_gateway_info"] is None and cleared["enable_snat"] is True
    assert request(admin, "GET", f"/ports?device_id={router['id']}").json() == {"ports": []}


def test_a_gateway_needs_an_external_network(demo: Connection) -> None:
    network = make(demo, "network")["id"]
    answer = request(demo, "POST", "/routers", {"router": {"external_gateway_info": {"network_id": network}}})
    text = f"Bad router request: Network {network} is not an external network."
    assert refusal(answer) == (400, "BadRequest", text)
    answer = request(demo, "POST", "/routers", {"router": {"external_gateway_info": {"network_id": NOWHERE}}})
    assert refusal(answer) == (404, "NetworkNotFound", f"Network {NOWHERE} could not be found.")


def test_a_gateway_gets_an_address_of_each_ip_version(admin: Connection, demo: Connection, external: str) -> None:
    router = make(demo, "router", external_gateway_info={"network_id": external})["id"]
    six = make(admin, "subnet", network_id=external, ip_version=6, cidr="2001:db8:1::/64", enable_dhcp=False)
    make(admin, "subnet", network_id=external, ip_version=4, cidr="203.0.115.0/24", enable_dhcp=False)
    addresses = show(demo, "router", router)["external_gateway_info"]["external_fixed_ips"]
    assert len(addresses) == 2 and six["id"] in {each["subnet_id"] for each in addresses}


def test_interfaces_by_subnet(demo: Connection) -> None:
    router, subnet = make(demo, "router")["id"], make_subnet(demo, "10.1.0.0/24")
    added = interface(demo, router, subnet_id=subnet["id"]).json()
    assert {key: added[key] for key in ("id", "network_id", "subnet_id", "subnet_ids")} == {
        "id": router,
        "network_id": subnet["network_id"],
        "subnet_id": subnet["id"],
        "subnet_ids": [subnet["id"]],
    }
    port = show(demo, "port", added["port_id"])
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.1.0.1"}]
    assert (port["device_owner"], port["device_id"]) == ("network:router_interface", router)
    assert port["port_security_enabled"] is False
    text = f"Bad router request: Router already has a port on subnet {subnet['id']}."
    assert refusal(interface(demo, router, subnet_id=subnet["id"])) == (400, "BadRequest", text)
    text = f"Router {router} has ports still attached: {port['id']}"
    assert refusal(request(demo, "DELETE", f"/routers/{router}")) == (409, "RouterInUse", text)
    text = f"Port {port['id']} cannot be deleted directly via the port API: has device owner network:router_interface."
    assert refusal(request(demo, "DELETE", f"/ports/{port['id']}")) == (409, "ServicePortInUse", text)
    for values in ({"device_id": ""}, {"fixed_ips": [{"ip_address": "10.1.0.9"}]}):
        assert refusal(request(demo, "PUT", f"/ports/{port['id']}", {"port": values}))[:2] == (409, "PortInUse")
    assert refusal(request(demo, "DELETE", f"/subnets/{subnet['id']}"))[:2] == (409, "SubnetInUse")
    assert refusal(request(demo, "DELETE", f"/networks/{subnet['network_id']}"))[:2] == (409, "NetworkInUse")
    text = f"Current gateway ip 10.1.0.1 already in use by port {port['id']}. Unable to update."
    moved = request(demo, "PUT", f"/subnets/{subnet['id']}", {"subnet": {"gateway_ip": None}})
    assert refusal(moved) == (409, "GatewayIpInUse", text)
    removed = interface(demo, router, "remove", subnet_id=subnet["id"]).json()
    assert removed == added
    text = f"Router {router} has no interface on subnet {subnet['id']}"
    gone = interface(demo, router, "remove", subnet_id=subnet["id"])
    assert refusal(gone) == (404, "RouterInterfaceNotFoundForSubnet", text)
    assert request(demo, "DELETE", f"/routers/{router}").status_code == 204


def test_interfaces_by_port(demo: Connection) -> None:
    router, subnet = make(demo, "router")["id"], make_subnet(demo, "10.1.0.0/24")
    fixed_ips = [{"ip_address": "10.1.0.200"}]
    port = make(demo, "port", network_id=subnet["network_id"], fixed_ips=fixed_ips)["id"]
    assert interface(demo, router, port_id=port).json()["port_id"] == port
    text = f"Unable to complete operation on port {port} for network {subnet['network_id']}. Port already has an "
    text += f"attached device {router}."
    assert refusal(interface(demo, router, port_id=port)) == (409, "PortInUse", text)
    text = f"Subnet on port {port} does not match the requested subnet {NOWHERE}."
    mismatch = interface(demo, router, "remove", port_id=port, subnet_id=NOWHERE)
    assert refusal(mismatch) == (400, "SubnetMismatchForPort", text)
    assert interface(demo, router, "remove", port_id=port, subnet_id=subnet["id"]).status_code == 200
    assert request(demo, "GET", f"/ports/{port}").status_code == 404
    text = f"Router {router} does not have an interface with id {port}"
    assert refusal(interface(demo, router, "remove", port_id=port)) == (404, "RouterInterfaceNotFound", text)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Bad router request: Either subnet_id or port_id must be specified."),
        ({"subnet_id": NOWHERE, "port_id": NOWHERE}, "Bad router request: Cannot specify both subnet-id and port-id."),
        ({"subnet_id": "x"}, "Invalid input for subnet_id. Reason: 'x' is not a valid UUID."),
    ],
)
def test_which_interface_must_be_clear(demo: Connection, body: dict[str, str], message: str) -> None:
    answer = interface(demo, make(demo, "router")["id"], **body)
    assert (answer.status_code, refusal(answer)[2]) == (400, message)


def test_unusable_subnets_and_ports_are_refused(demo: Connection, external: str) -> None:
    router = make(demo, "router", external_gateway_info={"network_id": external})["id"]
    first = make_subnet(demo, "10.1.0.0/24")["id"]
    assert interface(demo, router, subnet_id=first).status_code == 200
    overlapping = make_subnet(demo, "10.1.0.0/16")["id"]
    text = f"Bad router request: Cidr 10.1.0.0/16 of subnet {overlapping} overlaps with cidr 10.1.0.0/24 of subnet "
    assert refusal(interface(demo, router, subnet_id=overlapping)) == (400, "BadRequest", f"{text}{first}.")
    outside = make_subnet(demo, "203.0.113.128/25")["id"]
    assert "overlaps with cidr 203.0.113.0/24" in refusal(interface(demo, router, subnet_id=outside))[2]
    closed = make_subnet(demo, "10.2.0.0/24", gateway_ip=None)["id"]
    text = "Bad router request: Subnet for router interface must have a gateway IP."
    assert refusal(interface(demo, router, subnet_id=closed)) == (400, "BadRequest", text)
    bare = make(demo, "port", network_id=make(demo, "network")["id"])["id"]
    text = "Bad router request: Router port must have at least one fixed IP."
    assert refusal(interface(demo, router, port_id=bare)) == (400, "BadRequest", text)
    network = make_subnet(demo, "10.3.0.0/24")["network_id"]
    second = make(demo, "subnet", network_id=network, ip_version=4, cidr="10.4.0.0/24")["id"]
    both = [{"ip_address": "10.3.0.9"}, {"subnet_id": second}]
    port = make(demo, "port", network_id=network, fixed_ips=both)["id"]
    text = "Bad router request: Cannot have multiple IPv4 subnets on router port."
    assert refusal(interface(demo, router, port_id=port)) == (400, "BadRequest", text)
    for values in ({"subnet_id": NOWHERE}, {"port_id": NOWHERE}):
        assert interface(demo, router, **values).status_code == 404


def test_several_ipv6_subnets_share_one_port(demo: Connection) -> None:
    router, first = make(demo, "router")["id"], make_subnet(demo, "fd00:1::/64")
    network = first["network_id"]
    second = make(demo, "subnet", network_id=network, ip_version=6, cidr="fd00:2::/64")["id"]
    port = interface(demo, router, subnet_id=first["id"]).json()["port_id"]
    added = interface(demo, router, subnet_id=second).json()
    assert (added["port_id"], added["subnet_ids"]) == (port, [second])
    assert [each["ip_address"] for each in show(demo, "port", port)["fixed_ips"]] == ["fd00:1::1", "fd00:2::1"]
    other = make(demo, "port", network_id=network, fixed_ips=[{"ip_address": "fd00:2::9"}])["id"]
    text = f"Bad router request: Router already contains IPv6 port {port} belonging to network id {network}. Only one "
    text += "IPv6 port from the same network subnet can be connected to a router."
    assert refusal(interface(demo, router, port_id=other)) == (400, "BadRequest", text)
    assert interface(demo, router, "remove", subnet_id=first["id"]).status_code == 200
    assert [each["ip_address"] for each in show(demo, "port", port)["fixed_ips"]] == ["fd00:2::1"]


def test_extra_routes(demo: Connection) -> None:
    router, subnet = make(demo, "router")["id"], make_subnet(demo, "10.1.0.0/24")["id"]
    assert interface(demo, router, subnet_id=subnet).status_code == 200
    one, two = ({"destination": f"10.{index}.0.0/16", "nexthop": "10.1.0.9"} for index in (8, 9))
    assert change(demo, "router", router, routes=[one])["routes"] == [one]

    def routes(action: str, *given: dict[str, str]) -> Any:
        return request(demo, "PUT", f"/routers/{router}/{action}_extraroutes", {"router": {"routes": list(given)}})

    assert routes("add", one, two).json()["router"]["routes"] == [one, two]
    assert routes("remove", one).json()["router"]["routes"] == [two]
    assert routes("remove", one).json()["router"]["routes"] == [two]
    in_use = interface(demo, router, "remove", subnet_id=subnet)
    assert refusal(in_use)[:2] == (409, "RouterInterfaceInUseByRoute")
    for nexthop, reason in (
        ("192.0.2.1", "the nexthop is not connected with router"),
        ("10.1.0.1", "the nexthop is used by router"),
        ("fd00::1", "the destination and the nexthop have different IP versions"),
    ):
        bad = {"destination": "10.8.0.0/16", "nexthop": nexthop}
        text = f"Invalid format for routes: {[two, bad]}, {reason}"
        assert refusal(routes("add", bad)) == (400, "InvalidRoutes", text)
    twice = request(demo, "PUT", f"/routers/{router}", {"router": {"routes": [one, one]}})
    assert "Duplicate hostroute" in refusal(twice)[2]
    many = [{"destination": f"10.50.{index}.0/24", "nexthop": "10.1.0.9"} for index in range(31)]
    assert refusal(request(demo, "PUT", f"/routers/{router}", {"router": {"routes": many}}))[:2] == (409, "OverQuota")
    assert show(demo, "router", router)["routes"] == [two]
    assert change(demo, "router", router, routes=None)["routes"] == []


def test_projects_see_only_their_own_routers(demo: Connection, alt: Connection, topology: Topology) -> None:
    router = topology.router
    assert router not in {row["id"] for row in request(alt, "GET", "/routers").json()["routers"]}
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"router": {"name": "mine"}}),
        ("DELETE", "", None),
        ("PUT", "/add_router_interface", {"subnet_id": topology.subnet}),
        ("PUT", "/remove_router_interface", {"subnet_id": topology.subnet}),
        ("PUT", "/add_extraroutes", {"router": {"routes": []}}),
        ("PUT", "/remove_extraroutes", {"router": {"routes": []}}),
        ("GET", "/tags", None),
        ("PUT", "/tags/x", None),
    ):
        assert request(alt, method, f"/routers/{router}{path}", body).status_code == 404, path
    own = make(alt, "router")["id"]
    assert interface(alt, own, subnet_id=topology.subnet).status_code == 404
    assert interface(alt, own, port_id=topology.port).status_code == 404


def test_a_subnet_that_is_shared_with_all_gets_no_routers_of_others(admin: Connection, demo: Connection) -> None:
    network = make(admin, "network", shared=True)["id"]
    subnet = make(admin, "subnet", network_id=network, ip_version=4, cidr="10.1.0.0/24")["id"]
    router = make(demo, "router")["id"]
    text = f"Bad router request: Cannot add interface to router because subnet {subnet} is not owned by project making "
    text += "the request."
    assert refusal(interface(demo, router, subnet_id=subnet)) == (400, "BadRequest", text)
    port = make(demo, "port", network_id=network)["id"]
    assert interface(demo, router, port_id=port).status_code == 200  # from the allocation pool

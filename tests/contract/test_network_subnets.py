"""Subnets, subnet pools, ports and their addresses."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import error_type, request


def make(connection: Connection, kind: str, **values: object) -> Any:
    """Create with a plain request; return the resource, or the whole answer if it is refused."""
    answer = request(connection, "POST", f"/{kind}s", {kind: values})
    return answer.json()[kind] if answer.status_code == 201 else answer


def test_defaults_of_a_subnet(demo: Connection, network: Any) -> None:
    subnet = make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.7/24")
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["enable_dhcp"]) == ("10.0.0.0/24", "10.0.0.1", True)
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert demo.network.get_network(network.id).subnet_ids == [subnet["id"]]
    six = make(demo, "subnet", network_id=network.id, ip_version=6, cidr="fd00::/64")
    assert six["gateway_ip"] == "fd00::1"
    assert six["allocation_pools"] == [{"start": "fd00::2", "end": "fd00::ffff:ffff:ffff:ffff"}]


def test_without_a_gateway_and_with_a_gateway_inside_the_pool(demo: Connection, network: Any) -> None:
    none = make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/29", gateway_ip=None)
    assert none["gateway_ip"] is None
    assert none["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.6"}]
    middle = make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.1.0/29", gateway_ip="10.0.1.3")
    assert middle["allocation_pools"] == [
        {"start": "10.0.1.1", "end": "10.0.1.2"},
        {"start": "10.0.1.4", "end": "10.0.1.6"},
    ]


def test_subnets_of_one_network_do_not_overlap(demo: Connection, network: Any) -> None:
    make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    for cidr in ("10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"):
        answer = make(demo, "subnet", network_id=network.id, ip_version=4, cidr=cidr)
        assert answer.status_code == 400
        assert "overlaps with another subnet" in answer.json()["NeutronError"]["message"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"cidr": "10.0.0.0/24"}, 400),
        ({"ip_version": 4}, 400),
        ({"ip_version": 6, "cidr": "10.0.0.0/24"}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0"}, 400),
        ({"ip_version": 4, "cidr": "0.0.0.0/0"}, 400),
        ({"ip_version": 4, "cidr": "224.0.0.0/24"}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/31"}, 400),
        ({"ip_version": 4, "cidr": "0.0.0.0/8"}, 400),
        ({"ip_version": 6, "cidr": "fd00::/127"}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.255"}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": "fd00::1"}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "dns_nameservers": ["8.8.8.8", "8.8.8.8"]}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "dns_nameservers": ["name"]}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "host_routes": [{"destination": "10.2.0.0/16"}]}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.1.2", "end": "10.0.1.5"}]}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.5"}]}, 409),
        ({"ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}, 400),
        ({"ip_version": 4, "cidr": "10.0.0.0/24", "network_id": "6b5f3a3e-0000-4000-8000-000000000000"}, 404),
    ],
)
def test_invalid_subnets_are_refused(demo: Connection, network: Any, values: dict[str, Any], status: int) -> None:
    assert make(demo, "subnet", **{"network_id": network.id, **values}).status_code == status


def test_ipv6_needs_an_mtu_of_1280(demo: Connection) -> None:
    small, large = (make(demo, "network", mtu=mtu)["id"] for mtu in (1279, 1280))
    six, four = {"ip_version": 6, "cidr": "fd00::/64"}, {"ip_version": 4, "cidr": "10.0.0.0/24"}
    for network, values, expected in ((small, six, 409), (small, four, 201), (large, six, 201)):
        answer = request(demo, "POST", "/subnets", {"subnet": {"network_id": network, **values}})
        assert answer.status_code == expected, answer.text
    answer = request(demo, "PUT", f"/networks/{large}", {"network": {"mtu": 1279}})
    assert (answer.status_code, error_type(answer)) == (409, "NetworkMTUSubnetConflict")
    assert request(demo, "PUT", f"/networks/{small}", {"network": {"mtu": 1000}}).status_code == 200
    for network in (small, large):
        demo.network.delete_network(network)


def test_bulk_is_all_or_nothing(demo: Connection, network: Any) -> None:
    subnets = [{"network_id": network.id, "ip_version": 4, "cidr": cidr} for cidr in ("10.0.0.0/24", "10.0.0.0/25")]
    assert request(demo, "POST", "/subnets", {"subnets": subnets}).status_code == 400
    assert list(demo.network.subnets(network_id=network.id)) == []


def test_updating_a_subnet(demo: Connection, network: Any) -> None:
    pools = [{"start": "10.0.0.10", "end": "10.0.0.20"}]
    subnet = make(
        demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/24", allocation_pools=pools, name="s"
    )
    routes = [{"destination": "10.100.1.0/24", "nexthop": "10.0.0.1"}]
    values = {"gateway_ip": "10.0.0.2", "dns_nameservers": ["8.8.4.4"], "host_routes": routes, "enable_dhcp": False}
    changed = request(demo, "PUT", f"/subnets/{subnet['id']}", {"subnet": values}).json()["subnet"]
    assert {name: changed[name] for name in values} == values
    assert (changed["name"], changed["allocation_pools"]) == ("s", pools)
    clash = request(demo, "PUT", f"/subnets/{subnet['id']}", {"subnet": {"gateway_ip": "10.0.0.15"}})
    assert (clash.status_code, error_type(clash)) == (409, "GatewayConflictWithAllocationPools")


def test_a_subnet_with_ports_cannot_be_deleted(demo: Connection, network: Any) -> None:
    subnet = make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    port = make(demo, "port", network_id=network.id)
    answer = request(demo, "DELETE", f"/subnets/{subnet['id']}")
    assert (answer.status_code, error_type(answer)) == (409, "SubnetInUse")
    demo.network.delete_port(port["id"])
    assert request(demo, "DELETE", f"/subnets/{subnet['id']}").status_code == 204
    assert request(demo, "GET", f"/subnets/{subnet['id']}").status_code == 404


def test_ports_get_addresses(demo: Connection, network: Any) -> None:
    subnet = make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    port = make(demo, "port", network_id=network.id, name="p")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.2"}]
    assert (port["status"], port["device_id"], port["binding:vnic_type"]) == ("DOWN", "", "normal")
    assert "binding:host_id" not in port
    wanted = make(demo, "port", network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.99"}])
    assert wanted["fixed_ips"][0]["ip_address"] == "10.0.0.99"
    taken = make(demo, "port", network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.99"}])
    assert (taken.status_code, error_type(taken)) == (409, "IpAddressAlreadyAllocated")
    outside = make(demo, "port", network_id=network.id, fixed_ips=[{"ip_address": "10.5.0.99"}])
    assert outside.status_code == 400
    found = request(demo, "GET", "/ports?fixed_ips=ip_address=10.0.0.99").json()["ports"]
    assert [each["id"] for each in found] == [wanted["id"]]
    assert len(request(demo, "GET", f"/ports?fixed_ips=subnet_id={subnet['id']}").json()["ports"]) == 2
    assert len(request(demo, "GET", "/ports?fixed_ips=ip_address_substr=0.9").json()["ports"]) == 1


def test_a_port_changes_its_addresses(demo: Connection, network: Any) -> None:
    subnet = make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    port = make(demo, "port", network_id=network.id)
    both = [*port["fixed_ips"], {"subnet_id": subnet["id"], "ip_address": "10.0.0.50"}]
    changed = request(demo, "PUT", f"/ports/{port['id']}", {"port": {"fixed_ips": both}}).json()["port"]
    assert changed["fixed_ips"] == both
    none = request(demo, "PUT", f"/ports/{port['id']}", {"port": {"fixed_ips": []}}).json()["port"]
    assert none["fixed_ips"] == []


def test_mac_addresses_are_unique_in_a_network(demo: Connection, network: Any) -> None:
    port = make(demo, "port", network_id=network.id, mac_address="FA-16-3E-00-00-01")
    assert port["mac_address"] == "fa:16:3e:00:00:01"
    again = make(demo, "port", network_id=network.id, mac_address="fa:16:3e:00:00:01")
    assert (again.status_code, error_type(again)) == (409, "MacAddressInUse")


@pytest.mark.parametrize("notation", ["fa163e0000bb", "fa16.3e00.00bb", "FA:16:3E:0:0:BB"])
def test_mac_addresses_in_any_notation(demo: Connection, network: Any, notation: str) -> None:
    assert make(demo, "port", network_id=network.id, mac_address=notation)["mac_address"] == "fa:16:3e:00:00:bb"


@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00", "1"])
def test_mac_addresses_that_no_interface_can_have(demo: Connection, network: Any, mac: str) -> None:
    answer = make(demo, "port", network_id=network.id, mac_address=mac)
    assert answer.status_code == 400
    message = f"Invalid input for mac_address. Reason: '{mac}' is not a valid MAC address."
    assert answer.json()["NeutronError"]["message"] == message


def test_only_administrators_set_bindings(admin: Connection, demo: Connection, network: Any) -> None:
    refused = make(demo, "port", **{"network_id": network.id, "binding:host_id": "host1"})
    assert refused.status_code == 403
    expression = "(rule:create_port and rule:create_port:binding:host_id) is disallowed by policy"
    assert refused.json()["NeutronError"] == {"type": "PolicyNotAuthorized", "message": expression, "detail": ""}
    port = make(admin, "port", **{"network_id": network.id, "binding:host_id": "somewhere"})
    # The host does not exist.
    assert (port["binding:host_id"], port["binding:vif_type"]) == ("somewhere", "binding_failed")
    assert (port["binding:vif_details"], port["binding:profile"]) == ({}, {})
    assert port["id"] in {found.id for found in admin.network.ports(binding_vif_type="binding_failed")}
    # Only the role service sets the profile.
    refused = make(admin, "port", **{"network_id": network.id, "binding:profile": {"a": 1}})
    assert refused.status_code == 403


def test_device_owners_of_the_cloud_are_refused(demo: Connection, network: Any) -> None:
    answer = make(demo, "port", network_id=network.id, device_owner="network:dhcp")
    assert answer.status_code == 403


def test_concurrent_ports_have_different_addresses(api: Any, demo: Connection, network: Any) -> None:
    make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/26")
    with ThreadPoolExecutor(8) as pool:
        ports = list(pool.map(lambda _: make(demo, "port", network_id=network.id), range(40)))
    assert len({port["fixed_ips"][0]["ip_address"] for port in ports}) == 40


def test_quotas_are_enforced(admin: Connection, alt: Connection) -> None:
    project = alt.current_project_id
    assert alt.network.get_quota(project).networks == 100
    assert request(alt, "PUT", f"/quotas/{project}", {"quota": {"network": -1}}).status_code == 403
    assert request(alt, "GET", f"/quotas/{admin.current_project_id}").status_code == 403
    admin.network.update_quota(project, networks=0)
    assert [each.project_id for each in admin.network.quotas()] == [project]
    refused = make(alt, "network", name="one")
    assert (refused.status_code, error_type(refused)) == (409, "OverQuota")
    details = request(alt, "GET", f"/quotas/{project}/details").json()["quota"]
    assert details["network"] == {"limit": 0, "used": 0, "reserved": 0}
    admin.network.delete_quota(project)
    network = make(alt, "network", name="one")
    assert request(alt, "DELETE", f"/networks/{network['id']}").status_code == 204


def test_tags(demo: Connection, network: Any) -> None:
    path = f"/networks/{network.id}/tags"
    assert request(demo, "PUT", path, {"tags": ["a", "b"]}).json() == {"tags": ["a", "b"]}
    assert request(demo, "PUT", f"{path}/c").status_code == 201
    assert request(demo, "GET", f"{path}/c").status_code == 204
    assert request(demo, "DELETE", f"{path}/a").status_code == 204
    assert request(demo, "GET", f"{path}/a").status_code == 404
    assert request(demo, "GET", f"/networks/{network.id}").json()["network"]["tags"] == ["b", "c"]
    for refused in (["a", "a"], [str(number) for number in range(51)]):
        assert request(demo, "PUT", path, {"tags": refused}).status_code == 400
    assert request(demo, "PUT", path, {"tags": [str(number) for number in range(50)]}).status_code == 200
    assert request(demo, "PUT", f"{path}/one-more").status_code == 400
    assert request(demo, "DELETE", path).status_code == 204
    assert request(demo, "GET", path).json() == {"tags": []}


def test_subnets_from_a_pool(demo: Connection, network: Any) -> None:
    pool = make(demo, "subnetpool", name="pool", prefixes=["10.20.0.0/23"], default_prefixlen=24, min_prefixlen=24)
    first = make(demo, "subnet", network_id=network.id, ip_version=4, subnetpool_id=pool["id"])
    second = make(demo, "subnet", network_id=network.id, ip_version=4, subnetpool_id=pool["id"], prefixlen=25)
    assert (first["cidr"], second["cidr"]) == ("10.20.0.0/24", "10.20.1.0/25")
    full = make(demo, "subnet", network_id=network.id, ip_version=4, subnetpool_id=pool["id"])
    assert full.status_code == 400
    both = {"subnetpool_id": pool["id"], "use_default_subnetpool": True, "prefixlen": 26}
    answer = make(demo, "subnet", network_id=network.id, ip_version=4, **both)
    assert answer.status_code == 400 and "cannot both be specified" in answer.text
    kept = request(demo, "DELETE", f"/subnetpools/{pool['id']}")
    assert (kept.status_code, error_type(kept)) == (400, "SubnetPoolDeleteError")
    for subnet in (first, second):
        demo.network.delete_subnet(subnet["id"])
    assert request(demo, "DELETE", f"/subnetpools/{pool['id']}").status_code == 204


def test_address_usage_is_counted(admin: Connection, demo: Connection, network: Any) -> None:
    make(demo, "subnet", network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    make(demo, "subnet", network_id=network.id, ip_version=6, cidr="fd00::/48")
    make(demo, "port", network_id=network.id)
    found = request(admin, "GET", f"/network-ip-availabilities/{network.id}").json()["network_ip_availability"]
    assert found["used_ips"] == 2
    assert found["subnet_ip_availability"][0]["total_ips"] == 253
    assert request(demo, "GET", "/network-ip-availabilities").status_code == 403

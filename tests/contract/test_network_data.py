"""A config drive's network_data.json is as Nova writes it.

Source: get_network_metadata in nova/virt/netutils.py, and doc/api_schemas/network_data.json, in Nova's sources.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api

SUBNETS: dict[str, dict[str, Any]] = {
    "dhcp": {"ip_version": 4, "cidr": "10.1.0.0/24", "dns_nameservers": ["192.0.2.53"]},
    "dhcp2": {"ip_version": 4, "cidr": "10.2.0.0/24", "dns_nameservers": ["192.0.2.53", "192.0.2.54"]},
    "static": {
        "ip_version": 4,
        "cidr": "10.3.0.0/20",
        "enable_dhcp": False,
        "dns_nameservers": ["192.0.2.54", "192.0.2.55"],
        "host_routes": [{"destination": "198.51.100.0/24", "nexthop": "10.3.0.9"}],
    },
    "closed": {"ip_version": 4, "cidr": "10.4.0.0/24", "enable_dhcp": False, "gateway_ip": None},
    "ipv6": {"ip_version": 6, "cidr": "fd00:5::/64", "dns_nameservers": ["2001:db8::53"]},
}


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "h1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture(scope="module")
def network(api: Api, fixtures: Fixtures) -> dict[str, str]:
    """`{subnet: id}`, and `network`: its id."""
    with api.connect("demo", "demo") as demo:
        network = demo.network.create_network(name="all", mtu=1400)
        subnets = {
            name: demo.network.create_subnet(network_id=network.id, **values).id for name, values in SUBNETS.items()
        }
    return {"network": network.id, **subnets}


@pytest.fixture
def make_port(demo: Connection, network: dict[str, str]) -> Any:
    def make_port(*addresses: tuple[str, str]) -> Any:
        fixed_ips = [{"subnet_id": network[subnet], "ip_address": ip} for subnet, ip in addresses]
        return demo.network.create_port(network_id=network["network"], fixed_ips=fixed_ips)

    return make_port


def written(api: Api, demo: Connection, fixtures: Fixtures, ports: Sequence[Any]) -> dict[str, Any]:
    """network_data.json of a new server with these ports."""
    nova = Nova(demo, api.url)
    networks = [{"port": port.id} for port in ports] or "none"
    server = nova("POST", "/servers", fixtures.body(networks=networks)).json()["server"]["id"]
    [work] = run_jobs(api.cloud)
    [item] = work.items["h1"]["servers"]
    nova("DELETE", f"/servers/{server}")
    run_jobs(api.cloud)
    data: dict[str, Any] = item["config_drive"]["network_data"]
    return data


def dns(*addresses: str) -> list[dict[str, str]]:
    return [{"type": "dns", "address": address} for address in addresses]


def link(port: Any, mtu: int | None) -> dict[str, Any]:
    return {
        "id": f"tap{port.id[:11]}",
        "vif_id": port.id,
        "type": "ovs",
        "mtu": mtu,
        "ethernet_mac_address": port.mac_address,
    }


def test_ports_with_dhcp_and_without(
    api: Api, demo: Connection, fixtures: Fixtures, network: dict[str, str], make_port: Any
) -> None:
    first = make_port(("ipv6", "fd00:5::9"), ("dhcp", "10.1.0.9"))
    second = make_port(("static", "10.3.0.8"))
    data = written(api, demo, fixtures, [first, second])
    assert data["links"] == [link(first, None), link(second, 1400)]
    assert data["services"] == dns("192.0.2.53", "2001:db8::53", "192.0.2.54", "192.0.2.55")
    common = {"network_id": network["network"]}
    assert data["networks"] == [
        common | {"id": "network0", "type": "ipv4_dhcp", "link": f"tap{first.id[:11]}"},
        common
        | {
            "id": "network1",
            "type": "ipv6",
            "link": f"tap{first.id[:11]}",
            "ip_address": "fd00:5::9",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [{"network": "::", "netmask": "::", "gateway": "fd00:5::1"}],
            "services": dns("2001:db8::53"),
        },
        common
        | {
            "id": "network2",
            "type": "ipv4",
            "link": f"tap{second.id[:11]}",
            "ip_address": "10.3.0.8",
            "netmask": "255.255.240.0",
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.3.0.1"},
                {"network": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "10.3.0.9"},
            ],
            "services": dns("192.0.2.54", "192.0.2.55"),
        },
    ]


def test_a_port_has_one_dhcp_network(api: Api, demo: Connection, fixtures: Fixtures, make_port: Any) -> None:
    data = written(api, demo, fixtures, [make_port(("dhcp", "10.1.0.5"), ("dhcp", "10.1.0.6"), ("dhcp2", "10.2.0.5"))])
    assert [entry["type"] for entry in data["networks"]] == ["ipv4_dhcp"]
    assert data["services"] == dns("192.0.2.53", "192.0.2.54")


def test_a_subnet_without_a_gateway_has_no_default_route(
    api: Api, demo: Connection, fixtures: Fixtures, make_port: Any
) -> None:
    [entry] = written(api, demo, fixtures, [make_port(("closed", "10.4.0.5"))])["networks"]
    assert (entry["ip_address"], entry["routes"], entry["services"]) == ("10.4.0.5", [], [])


def test_a_port_without_addresses_has_no_link(api: Api, demo: Connection, fixtures: Fixtures, make_port: Any) -> None:
    assert written(api, demo, fixtures, [make_port()]) == {"links": [], "networks": [], "services": []}


def test_a_server_without_ports_has_an_empty_document(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    assert written(api, demo, fixtures, []) == {}


def test_interfaces_have_the_order_of_the_request(
    api: Api, demo: Connection, fixtures: Fixtures, network: dict[str, str], make_port: Any
) -> None:
    older, newer = make_port(("static", "10.3.0.6")), make_port(("static", "10.3.0.7"))
    wish = [
        {"port": newer.id},
        {"uuid": network["network"], "fixed_ip": "FD00:5:0::A"},
        {"port": older.id},
        {"uuid": fixtures.network},
    ]
    nova = Nova(demo, api.url)
    path = nova("POST", "/servers", fixtures.body(networks=wish)).headers["Location"]
    [work] = run_jobs(api.cloud)
    [item] = work.items["h1"]["servers"]
    data = item["config_drive"]["network_data"]
    ids = [port["id"] for port in item["ports"]]
    assert len(ids) == 4 and (ids[0], ids[2]) == (newer.id, older.id)
    assert [link["vif_id"] for link in data["links"]] == ids
    assert [(entry["type"], entry.get("ip_address")) for entry in data["networks"]] == [
        ("ipv4", "10.3.0.7"),
        ("ipv6", "fd00:5::a"),
        ("ipv4", "10.3.0.6"),
        ("ipv4_dhcp", None),
    ]
    shown = nova("GET", f"{path}/os-interface").json()["interfaceAttachments"]
    assert [interface["port_id"] for interface in shown] == ids
    addresses = nova("GET", path).json()["server"]["addresses"]
    assert [entry["addr"] for entry in addresses["all"]] == ["10.3.0.7", "fd00:5::a", "10.3.0.6"]
    nova("DELETE", path)
    run_jobs(api.cloud)

"""The guest configures its interfaces as network_data.json says.

The documents are Nova's: https://docs.openstack.org/nova/latest/user/metadata.html#openstack-format-metadata and the
schema doc/api_schemas/network_data.json in Nova's sources.
"""

import json
from copy import deepcopy
from typing import Any

import pytest

from unit.guest_programs import AWKS, PROGRAMS, json_lines, run, shell

FIRST, SECOND, THIRD = "fa:16:3e:9c:bf:3d", "fa:16:3e:d4:57:ad", "fa:16:3e:00:00:03"
NETWORK = "da5bb487-5193-4a65-a3df-4a0055a8c0d7"
DOCUMENT: dict[str, Any] = {
    "links": [
        {
            "id": "tap1cd9f6d4-64",
            "vif_id": "cd9f6d46-4a3a-43ab-a466-994af9db96fc",
            "type": "ovs",
            "mtu": None,
            "ethernet_mac_address": FIRST,
        },
        {
            "id": "tap2ecc7709-b3",
            "vif_id": "2ecc7709-b3f7-4448-9580-e1ec32d75bbd",
            "type": "ovs",
            "mtu": 1442,
            "ethernet_mac_address": SECOND.upper(),
        },
        {"id": "tap3", "vif_id": "3", "type": "phy", "mtu": 9000, "ethernet_mac_address": THIRD},
    ],
    "networks": [
        {"id": "network0", "type": "ipv4_dhcp", "link": "tap1cd9f6d4-64", "network_id": NETWORK},
        {
            "id": "network1",
            "type": "ipv4",
            "link": "tap2ecc7709-b3",
            "ip_address": "10.184.0.244",
            "netmask": "255.255.240.0",
            "routes": [
                {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.184.0.1"},
                {"network": "10.0.0.0", "netmask": "255.0.0.0", "gateway": "11.0.0.1"},
                {"network": "192.0.2.7", "netmask": "255.255.255.255", "gateway": "0.0.0.0"},
            ],
            "network_id": NETWORK,
            "services": [{"type": "dns", "address": "192.0.2.53"}, {"type": "ntp", "address": "192.0.2.123"}],
        },
        {
            "id": "network2",
            "type": "ipv6",
            "link": "tap2ecc7709-b3",
            "ip_address": "2001:cdba::3257:9652",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [
                {"network": "::", "netmask": "::", "gateway": "fd00::1"},
                {"network": "2001:db8:aa::", "netmask": "ffff:ffff:ffff::", "gateway": "fd00::2"},
            ],
            "network_id": NETWORK,
            "services": [{"type": "dns", "address": "2001:db8::53"}],
        },
        {
            "id": "network3",
            "type": "ipv6_slaac",
            "link": "tap3",
            "ip_address": "2001:db8:1::3",
            "netmask": "ffff:ffff:ffff:ffff::",
            "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8:1::1"}],
            "network_id": NETWORK,
            "services": [],
        },
    ],
    "services": [{"type": "dns", "address": "192.0.2.53"}, {"type": "dns", "address": "8.8.8.8"}],
}
SETTINGS = {
    FIRST: ["nameserver 192.0.2.53", "nameserver 8.8.8.8", "dhcp"],
    SECOND: [
        "mtu 1442",
        "address 10.184.0.244/20",
        "route 0.0.0.0/0 10.184.0.1",
        "route 10.0.0.0/8 11.0.0.1",
        "route 192.0.2.7/32 0.0.0.0",
        "nameserver 192.0.2.53",
        "address 2001:cdba::3257:9652/64",
        "route ::/0 fd00::1",
        "route 2001:db8:aa::/48 fd00::2",
        "nameserver 2001:db8::53",
        "nameserver 8.8.8.8",
    ],
    THIRD: ["mtu 9000", "nameserver 192.0.2.53", "nameserver 8.8.8.8"],
    "fa:16:3e:00:00:04": ["dhcp"],
}


def settings(text: str, mac: str, awk: list[str] = AWKS[-1]) -> list[str]:
    reader = [*awk, "-v", f"mac={mac}", "-f", str(PROGRAMS / "network.awk")]
    return run(reader, json_lines(text, awk)).splitlines()


def reverse_keys(value: Any) -> Any:
    """The same document with the keys of its objects in another order."""
    if isinstance(value, dict):
        return {key: reverse_keys(value[key]) for key in reversed(value)}
    return [reverse_keys(entry) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize("document", [DOCUMENT, reverse_keys(DOCUMENT)], ids=["nova", "reversed"])
@pytest.mark.parametrize("mac", SETTINGS)
def test_an_interface_gets_what_the_document_says(
    mac: str, document: dict[str, Any], indent: int | None, awk: list[str]
) -> None:
    assert settings(json.dumps(document, indent=indent), mac, awk) == SETTINGS[mac]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"links": []}', "no json", '{"links": {"0": "x"}}'])
def test_without_a_document_an_interface_uses_dhcp(text: str) -> None:
    assert settings(text, FIRST) == ["dhcp"]


@pytest.mark.parametrize("bits", range(33))
def test_netmasks_of_ipv4(bits: int) -> None:
    number = (1 << 32) - (1 << (32 - bits))
    netmask = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    assert settings(json.dumps(static("ipv4", "10.0.0.5", netmask)), FIRST) == [f"address 10.0.0.5/{bits}"]


@pytest.mark.parametrize(
    ("netmask", "bits"),
    [
        ("::", 0),
        ("8000::", 1),
        ("ffff:ffff:ffff:fffe::", 63),
        ("FFFF:FFFF:FFFF:FFFF::", 64),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:0", 112),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128),
    ],
)
def test_netmasks_of_ipv6(netmask: str, bits: int) -> None:
    assert settings(json.dumps(static("ipv6", "fd00::5", netmask)), FIRST) == [f"address fd00::5/{bits}"]


def test_an_interface_may_have_static_addresses_and_dhcp() -> None:
    document = static("ipv6", "fd00::5", "ffff:ffff:ffff:ffff::")
    document["networks"].insert(0, {"type": "ipv4_dhcp", "link": "tap"})
    assert settings(json.dumps(document), FIRST) == ["address fd00::5/64", "dhcp"]


def test_the_first_route_to_a_destination_counts() -> None:
    document = static("ipv4", "10.0.0.5", "255.255.255.0")
    document["networks"].append(deepcopy(document["networks"][0]) | {"ip_address": "10.0.1.5"})
    for number, network in enumerate(document["networks"]):
        network["routes"] = [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": f"10.0.{number}.1"}]
    found = settings(json.dumps(document), FIRST)
    assert found == ["address 10.0.0.5/24", "route 0.0.0.0/0 10.0.0.1", "address 10.0.1.5/24"]


@pytest.mark.parametrize("awk", AWKS, ids=" ".join)
@pytest.mark.parametrize(
    "value", ["$(reboot)", "`reboot`", "x\ndhcp", "-help", "10.0.0.5; reboot", "", 7, None, ["::"]]
)
def test_other_values_are_ignored(value: Any, awk: list[str]) -> None:
    document = deepcopy(DOCUMENT)
    document["links"][1]["mtu"] = [value]
    for network in document["networks"][1:3]:
        network["ip_address"] = value
        network["routes"][0]["gateway"] = value
        network["routes"][1]["netmask"] = value
        network["services"][0]["address"] = value
    wanted = ["route 192.0.2.7/32 0.0.0.0", "nameserver 192.0.2.53", "nameserver 8.8.8.8"]
    assert settings(json.dumps(document), SECOND, awk) == wanted


@pytest.mark.parametrize("netmask", ["255.0.255.0", "24", "255.250.0.0", "ffff::ffff", "ffff::fff1", ""])
def test_an_address_needs_a_netmask(netmask: str) -> None:
    assert settings(json.dumps(static("ipv4", "10.0.0.5", netmask)), FIRST) == []


def test_the_settings_are_applied() -> None:
    script = f'ip() {{ echo ip "$@"; }}; interface=lo; . {PROGRAMS}/network.sh; apply_settings'
    assert shell(script, "\n".join(SETTINGS[SECOND]) + "\n").splitlines() == [
        "ip link set lo mtu 1442",
        "ip address replace 10.184.0.244/20 dev lo",
        "ip -4 route replace 0.0.0.0/0 via 10.184.0.1 dev lo metric 101 onlink",
        "ip -4 route replace 10.0.0.0/8 via 11.0.0.1 dev lo metric 101 onlink",
        "ip -4 route replace 192.0.2.7/32 dev lo metric 101",
        "ip address replace 2001:cdba::3257:9652/64 dev lo",
        "ip -6 route replace ::/0 via fd00::1 dev lo metric 101 onlink",
        "ip -6 route replace 2001:db8:aa::/48 via fd00::2 dev lo metric 101 onlink",
    ]


def static(kind: str, address: str, netmask: str) -> dict[str, Any]:
    """A document of one interface with one static address."""
    network = {"type": kind, "link": "tap", "ip_address": address, "netmask": netmask}
    return {"links": [{"id": "tap", "ethernet_mac_address": FIRST}], "networks": [network], "services": []}

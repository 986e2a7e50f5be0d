"""Extra DHCP options of ports, with Neutron's rules."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.network_helpers import request


@pytest.fixture
def network(demo: Connection) -> Iterator[Any]:
    network = demo.network.create_network(name="private")
    demo.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.1.0.0/24")
    yield network
    for port in demo.network.ports(network_id=network.id):
        demo.network.delete_port(port)
    demo.network.delete_network(network)


def option(name: str, value: str | None, **more: Any) -> dict[str, Any]:
    return {"opt_name": name, "opt_value": value, **more}


PXE = [
    option("bootfile-name", "pxelinux.0", ip_version=4),
    option("tftp-server", "123.123.123.123", ip_version=4),
    option("server-ip-address", "123.123.123.45", ip_version=4),
]


def test_the_extension_is_listed(demo: Connection) -> None:
    found = demo.network.find_extension("extra_dhcp_opt", ignore_missing=False)
    assert found.name == "Neutron Extra DHCP options"


def test_options_of_a_new_port(demo: Connection, network: Any) -> None:
    assert demo.network.create_port(network_id=network.id).extra_dhcp_opts == []
    given = [option(each["opt_name"], each["opt_value"]) for each in PXE]
    port = demo.network.create_port(network_id=network.id, extra_dhcp_opts=[*given, option("mtu", None)])
    assert port.extra_dhcp_opts == demo.network.get_port(port).extra_dhcp_opts == PXE
    (listed,) = [each for each in demo.network.ports(network_id=network.id) if each.id == port.id]
    assert listed.extra_dhcp_opts == PXE


def test_an_update_changes_the_options_that_it_names(demo: Connection, network: Any) -> None:
    port = demo.network.create_port(network_id=network.id, extra_dhcp_opts=PXE)
    given = [option("bootfile-name", "other", ip_version="4"), option("66", None), option("router", "")]
    changed = demo.network.update_port(port, extra_dhcp_opts=given)
    expected = [option("bootfile-name", "other", ip_version=4), PXE[2], option("router", "", ip_version=4)]
    assert changed.extra_dhcp_opts == demo.network.get_port(port).extra_dhcp_opts == expected
    for nothing in ([], None):
        answer = request(demo, "PUT", f"/ports/{port.id}", {"port": {"extra_dhcp_opts": nothing}})
        assert answer.json()["port"]["extra_dhcp_opts"] == expected


REASON = "Invalid input for extra_dhcp_opts. Reason: {}."
REFUSED = [
    ([option("bogus", "x")], "'bogus' is no DHCP option that a port may have"),
    ([option("54", "10.1.0.1")], "'54' is no DHCP option that a port may have"),
    ([option("tag:x,67", "x")], "'tag:x,67' is no DHCP option that a port may have"),
    ([option("mtu", "")], "Option 'mtu' needs a value"),
    ([option("mtu", "x")], "'x' is not a number, which option 'mtu' needs"),
    ([option("router", "x")], "'x' is not a list of IPv4 addresses, which option 'router' needs"),
    ([option("67", "a\nb")], r"'a\nb' is no line of printable ASCII without quotation marks"),
    ([option("67", "a"), option("bootfile-name", "b")], "Duplicate option 'bootfile-name'"),
    ([option("67", "a", ip_version=5)], "5 is not in [4, 6]"),
    ([option("59", "a", ip_version=6)], "This cloud has no DHCPv6 yet"),
    ([{"opt_name": "67"}], "'opt_value' is missing"),
    ([option("67", "a", tag="x")], "Unexpected keys supplied: 'tag'"),
    ({"opt_name": "67"}, "{'opt_name': '67'} is not a list"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_invalid_options_are_refused(demo: Connection, network: Any, options: Any, reason: str) -> None:
    port = demo.network.create_port(network_id=network.id, extra_dhcp_opts=PXE)
    body = {"network_id": network.id, "extra_dhcp_opts": options}
    for answer in (
        request(demo, "POST", "/ports", {"port": body}),
        request(demo, "PUT", f"/ports/{port.id}", {"port": {"extra_dhcp_opts": options}}),
    ):
        assert (answer.status_code, answer.json()["NeutronError"]["message"]) == (400, REASON.format(reason))
    (only,) = demo.network.ports(network_id=network.id)
    assert only.extra_dhcp_opts == PXE


def test_values_are_checked_when_the_port_has_an_ipv4_address(demo: Connection, network: Any) -> None:
    """As with Neutron, the options of a port without IPv4 addresses have no effect, whatever their values."""
    given = [option("server-ip-address", "2015::badd", ip_version=4)]
    port = demo.network.create_port(network_id=network.id, fixed_ips=[], extra_dhcp_opts=given)
    assert port.extra_dhcp_opts == given
    body = {"port": {"fixed_ips": [{"ip_address": "10.1.0.9"}]}}
    answer = request(demo, "PUT", f"/ports/{port.id}", body)
    assert answer.status_code == 400 and "2015::badd" in answer.json()["NeutronError"]["message"]
    assert demo.network.get_port(port).fixed_ips == []


def test_they_are_no_filter(demo: Connection) -> None:
    assert request(demo, "GET", "/ports?extra_dhcp_opts=opt_name%3Dmtu").status_code == 400

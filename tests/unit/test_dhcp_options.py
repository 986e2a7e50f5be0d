"""Extra DHCP options: their names, their values, and how requests change them."""

from typing import Any

import pytest

from skywright.errors import BadRequest
from skywright.services.network import dhcp_options


def option(name: str, value: str | None, version: int = 4) -> dict[str, Any]:
    return {"opt_name": name, "opt_value": value, "ip_version": version}


@pytest.mark.parametrize(
    ("name", "code"),
    [("router", 3), ("3", 3), ("bootfile-name", 67), ("server-ip-address", 255), ("254", 254), ("12", 12)],
)
def test_names_and_codes(name: str, code: int) -> None:
    assert dhcp_options.code_of(name) == code


@pytest.mark.parametrize("name", ["", "0", "255", "256", "51", "54", "61", "hostname", "Router", "option:router", "-1"])
def test_what_is_no_option_of_a_port(name: str) -> None:
    assert dhcp_options.code_of(name) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [option("mtu", "1400"), option("66", "a")]),
        ([option("mtu", "1300")], [option("mtu", "1300"), option("66", "a")]),
        ([option("mtu", None)], [option("66", "a")]),
        ([option("26", None), option("tftp-server", "b")], [option("tftp-server", "b")]),
        ([option("ntp-server", None)], [option("mtu", "1400"), option("66", "a")]),
        ([option("router", "")], [option("mtu", "1400"), option("66", "a"), option("router", "")]),
    ],
)
def test_merged(given: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert dhcp_options.merged([option("mtu", "1400"), option("66", "a")], given) == expected


def test_the_same_option_twice() -> None:
    with pytest.raises(BadRequest, match="Duplicate option '67'"):
        dhcp_options.merged([], [option("bootfile-name", "a"), option("67", "b")])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("router", ""),
        ("ntp-server", "10.0.0.1, 10.0.0.2"),
        ("mtu", "1400"),
        ("time-offset", "-3600"),
        ("bootfile-name", "http://10.0.0.1/a,b?c=d#e"),
        ("tftp-server", "10.0.0.1"),
        ("classless-static-route", "10.0.0.0/8,10.0.0.1"),
        ("200", "300"),
        ("200", "aa:bb:cc"),
        ("200", "hello, world"),
    ],
)
def test_values(name: str, value: str) -> None:
    dhcp_options.check([option(name, value)])


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("router", "gateway", "'gateway' is not a list of IPv4 addresses, which option 'router' needs"),
        ("3", "10.0.0.1,", "'10.0.0.1,' is not a list of IPv4 addresses, which option '3' needs"),
        ("server-ip-address", "2015::badd", "'2015::badd' is not a list of IPv4 addresses"),
        ("mtu", "big", "'big' is not a number, which option 'mtu' needs"),
        ("classless-static-route", "10.0.0.0/33,10.0.0.1", "is not a list of IPv4 addresses or networks"),
        ("200", "1.2.3", "'1.2.3' is not a list of IPv4 addresses or networks"),
        ("200", "1,300", "'1,300' is not a list of IPv4 addresses or networks"),
    ],
)
def test_values_that_the_server_would_ignore(name: str, value: str, what: str) -> None:
    with pytest.raises(BadRequest) as caught:
        dhcp_options.check([option(name, value)])
    assert what in caught.value.message

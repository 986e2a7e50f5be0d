"""Extra DHCP options of ports: their names, and the values that dnsmasq sends.

Names and formats are dnsmasq's (`dnsmasq --help dhcp`), codes those of RFC 2132 and its successors.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from skywright.errors import BadRequest

Option = dict[str, Any]  # {"opt_name", "opt_value", "ip_version"}

ADDRESSES = {
    "netmask": 1,
    "router": 3,
    "dns-server": 6,
    "log-server": 7,
    "lpr-server": 9,
    "swap-server": 16,
    "policy-filter": 21,
    "router-solicitation": 32,
    "static-route": 33,
    "nis-server": 41,
    "ntp-server": 42,
    "netbios-ns": 44,
    "netbios-dd": 45,
    "x-windows-fs": 48,
    "x-windows-dm": 49,
    "nis+-server": 65,
    "mobile-ip-home": 68,
    "smtp-server": 69,
    "pop3-server": 70,
    "nntp-server": 71,
    "irc-server": 74,
    "tftp-server-address": 150,
    "server-ip-address": 255,
}
NUMBERS = {
    "time-offset": 2,
    "boot-file-size": 13,
    "ip-forward-enable": 19,
    "non-local-source-routing": 20,
    "max-datagram-reassembly": 22,
    "default-ttl": 23,
    "mtu": 26,
    "all-subnets-local": 27,
    "router-discovery": 31,
    "trailer-encapsulation": 34,
    "arp-timeout": 35,
    "ethernet-encap": 36,
    "tcp-ttl": 37,
    "tcp-keepalive": 38,
    "netbios-nodetype": 46,
    "T1": 58,
    "T2": 59,
    "client-arch": 93,
    "ipv6-only": 108,
}
TEXTS = {
    "domain-name": 15,
    "root-path": 17,
    "extension-path": 18,
    "nis-domain": 40,
    "nis+-domain": 64,
    "tftp-server": 66,
    "bootfile-name": 67,
    "posix-timezone": 100,
    "tzdb-timezone": 101,
    "domain-search": 119,
}
OTHERS = {
    "netbios-scope": 47,
    "vendor-class": 60,
    "user-class": 77,
    "rapid-commit": 80,
    "client-interface-id": 94,
    "client-machine-id": 97,
    "sip-server": 120,
    "classless-static-route": 121,
    "vendor-id-encap": 125,
}
CODES = {**ADDRESSES, **NUMBERS, **TEXTS, **OTHERS}
# What the protocol between client and server needs: the server sets these itself.
RESERVED = frozenset({*range(50, 58), 61, 81, 82, 118})
# A line of a configuration file: quotation marks, and a number sign after a space, are syntax there.
VALUE = re.compile("(?!.* #)([!#-~]([ !#-~]*[!#-~])?)?")
MAY_BE_EMPTY = ("router", "classless-static-route")  # as in Neutron: an empty value suppresses the option
DIGITS, NUMBER = re.compile("[0-9]{1,3}"), re.compile("-?[0-9]{1,10}")
# dnsmasq takes such values as addresses, which may have a prefix length.
LIKE_ADDRESSES = re.compile(r"[0-9./, ]*[.,][0-9./, ]*")


def code_of(name: str) -> int | None:
    """Return the code of the option *name*, a name or a code; None if ports cannot have such an option."""
    if DIGITS.fullmatch(name):
        code = int(name)
        return code if 0 < code < ADDRESSES["server-ip-address"] and code not in RESERVED else None
    return CODES.get(name)


def merged(present: Iterable[Option], given: Iterable[Option]) -> list[Option]:
    """Return the options of a port after a request with *given*: null removes an option, others stay.

    Raises BadRequest if two of *given* are the same option.
    """
    result = {_key(option): option for option in present}
    seen = set()
    for option in given:
        key = _key(option)
        if key in seen:
            raise _invalid(f"Duplicate option '{option['opt_name']}'")
        seen.add(key)
        if option["opt_value"] is None:
            result.pop(key, None)
        else:
            result[key] = option
    return list(result.values())


def check(options: Iterable[Option]) -> None:
    """Raise BadRequest for a value that its option cannot have."""
    for option in options:
        name, value = option["opt_name"], option["opt_value"]
        code = code_of(name)
        if code in ADDRESSES.values():
            _check_each(name, value, IPv4Address, "a list of IPv4 addresses")
        elif code in NUMBERS.values():
            if not NUMBER.fullmatch(value):
                raise _invalid(f"'{value}' is not a number, which option '{name}' needs")
        elif code not in TEXTS.values() and LIKE_ADDRESSES.fullmatch(value):
            _check_each(name, value, IPv4Interface, "a list of IPv4 addresses or networks")


def _key(option: Option) -> tuple[int | None, int]:
    return code_of(option["opt_name"]), option["ip_version"]


def _check_each(name: str, value: str, kind: Any, what: str) -> None:
    for part in value.split(",") if value else ():
        try:
            kind(part.strip())
        except ValueError:
            raise _invalid(f"'{value}' is not {what}, which option '{name}' needs") from None


def _invalid(reason: str) -> BadRequest:
    return BadRequest(f"Invalid input for extra_dhcp_opts. Reason: {reason}.")

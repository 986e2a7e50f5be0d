"""The addresses that the cloud may send users' data to: none that users could not reach themselves."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443}
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")  # contains an IPv4 address


def permitted(address: str, networks: Sequence[Network] = ()) -> bool:
    """Return whether *address* is allowed: a public one, or one of the operator's *networks*."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in networks):
        return True
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in GLOBAL_V6 or ip in SIX_TO_FOUR):
        return False
    return ip.is_global and not ip.is_multicast

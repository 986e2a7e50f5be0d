"""Where users may have the cloud send something: to no address that they could not reach themselves."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443}
GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")  # an address of version 4 is in it


def permitted(address: str, networks: Sequence[Network] = ()) -> bool:
    """Whether users may have something sent to *address*: a public one, or one of an operator's *networks*."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if any(ip in network for network in networks):
        return True
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in GLOBAL_V6 or ip in SIX_TO_FOUR):
        return False
    return ip.is_global and not ip.is_multicast

"""Allowed address pairs: other source addresses that a port may use.

Records keep the notation of requests, as Neutron's do: clients compare them with what they want.
"""

from collections.abc import Iterable

import netaddr

from skywright.errors import BadRequest
from skywright.services.network.ipam import mac_address

Pair = dict[str, str]


def stored(pairs: Iterable[Pair], mac_address: str) -> list[Pair]:
    """Return *pairs* for the record of a port; the default of their MAC address is the port's *mac_address*.

    Raises BadRequest if two of them are the same.
    """
    result = [{"mac_address": mac_address, **pair} for pair in pairs]
    seen = set()
    for pair in result:
        key = tuple(normalized(pair).values())
        if key in seen:
            text = (
                "Request contains duplicate address pair: "
                f"mac_address {pair['mac_address']} ip_address {pair['ip_address']}."
            )
            raise BadRequest(text, kind="DuplicateAddressPairInRequest")
        seen.add(key)
    return result


def normalized(pair: Pair) -> Pair:
    """Return *pair* in the notation of hosts: `fa:16:3e:00:00:01`, and a CIDR without bits of hosts."""
    ip = pair["ip_address"]
    address = netaddr.IPNetwork(ip).cidr if "/" in ip else netaddr.IPAddress(ip)
    return {"mac_address": mac_address(pair["mac_address"]), "ip_address": str(address)}

"""Rules for the addresses of subnets: gateway, allocation pools, overlaps. Nothing here uses the database."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import netaddr

from skywright.http import BadRequest, Conflict
from skywright.services.network import ipam
from skywright.services.network.schemas import Pool

IPV6_MIN_MTU = 1280


def invalid(text: str) -> BadRequest:
    """Return Neutron's InvalidInput."""
    return BadRequest(f"Invalid input for operation: {text}", kind="InvalidInput")


def check_cidr(cidr: str, version: int, *, dhcp: bool) -> None:
    """Refuse an invalid cidr."""
    network = netaddr.IPNetwork(cidr)
    if network.version != version:
        raise invalid(f"cidr '{cidr}' does not match the ip_version '{version}'.")
    if network.prefixlen == 0:
        raise invalid("0 is not allowed as CIDR prefix length.")
    if network.ip.is_multicast():
        raise invalid("multicast IP subnet is not supported.")
    if network.ip.is_loopback():
        raise invalid("loopback IP subnet is not supported.")
    if dhcp and network.prefixlen > (30 if version == 4 else 126):
        raise invalid("Subnet has a prefix length that is incompatible with DHCP service enabled.")
    if dhcp and version == 4 and network.first == 0:
        raise invalid("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")


def check_mtu(network_id: str, mtu: int, versions: Iterable[int]) -> None:
    """Refuse an MTU that is too small for a subnet of one of the IP *versions* (RFC 8200, section 5)."""
    if 6 in versions and mtu < IPV6_MIN_MTU:
        text = f"MTU of {network_id} is not valid, subnet requires a minimum of {IPV6_MIN_MTU} bytes."
        raise Conflict(text, kind="NetworkMTUSubnetConflict")


def check_overlap(cidr: str, network_id: str, others: Iterable[str]) -> None:
    """Refuse a subnet that shares addresses with another one of its network."""
    wanted = netaddr.IPNetwork(cidr)
    for other in map(netaddr.IPNetwork, others):
        if other.version == wanted.version and (other in wanted or wanted in other):
            text = f"Requested subnet with cidr: {cidr} for network: {network_id} overlaps with another subnet."
            raise invalid(text)


def default_gateway(cidr: str) -> str | None:
    """Return the first address for ports."""
    network = netaddr.IPNetwork(cidr)
    if network.size == 1:
        return None
    return str(netaddr.IPAddress(network.first + (1 if network.size > 2 else 0), network.version))


def check_gateway(gateway: str | None, cidr: str, version: int) -> None:
    """Refuse a gateway that is not a host address of the subnet."""
    if gateway is None:
        return
    if netaddr.IPAddress(gateway).version != version:
        raise invalid(f"gateway_ip '{gateway}' does not match the ip_version '{version}'.")
    if netaddr.IPAddress(gateway) in netaddr.IPNetwork(cidr) and not ipam.usable(gateway, cidr):
        raise invalid("Gateway is not valid on subnet.")


def check_versions(version: int, what: str, addresses: Iterable[str]) -> None:
    """Refuse addresses of the other IP version."""
    for address in addresses:
        if netaddr.IPNetwork(address).version != version:
            raise invalid(f"{what} '{address}' does not match the ip_version '{version}'.")


def default_pools(cidr: str, gateway: str | None) -> list[dict[str, str]]:
    """Return the range of all addresses for ports, without the gateway."""
    network = netaddr.IPNetwork(cidr)
    first, last = network.first, network.last
    if network.size > 2:
        first, last = first + 1, last - (1 if network.version == 4 else 0)
    number = int(netaddr.IPAddress(gateway)) if gateway and netaddr.IPAddress(gateway) in network else None
    spans = [(first, last)]
    if number is not None and first <= number <= last:
        spans = [(first, number - 1), (number + 1, last)]
    version = network.version
    return [
        {"start": str(netaddr.IPAddress(start, version)), "end": str(netaddr.IPAddress(end, version))}
        for start, end in spans
        if start <= end
    ]


def checked_pools(pools: Sequence[Pool], cidr: str) -> list[dict[str, str]]:
    """Return *pools* if they are within *cidr* and do not overlap."""
    spans = []
    for pool in pools:
        start, end = netaddr.IPAddress(pool.start), netaddr.IPAddress(pool.end)
        if start.version != end.version or start > end:
            text = f"The allocation pool {pool.start}-{pool.end} is not valid."
            raise BadRequest(text, kind="InvalidAllocationPool")
        if not (ipam.usable(pool.start, cidr) and ipam.usable(pool.end, cidr)):
            text = f"The allocation pool {pool.start}-{pool.end} spans beyond the subnet cidr {cidr}."
            raise BadRequest(text, kind="OutOfBoundsAllocationPool")
        spans.append((start, end))
    spans.sort()
    for (_, end), (start, _) in pairwise(spans):
        if start <= end:
            raise Conflict(f"Found overlapping allocation pools for subnet {cidr}.", kind="OverlappingAllocationPools")
    return [{"start": str(start), "end": str(end)} for start, end in spans]


def check_gateway_and_pools(gateway: str | None, pools: Iterable[dict[str, Any]]) -> None:
    """Refuse a gateway inside an allocation pool."""
    if gateway is None:
        return
    address = netaddr.IPAddress(gateway)
    for pool in pools:
        if netaddr.IPAddress(pool["start"]) <= address <= netaddr.IPAddress(pool["end"]):
            text = f"Gateway ip {gateway} conflicts with allocation pool {pool['start']}-{pool['end']}."
            raise Conflict(text, kind="GatewayConflictWithAllocationPools")

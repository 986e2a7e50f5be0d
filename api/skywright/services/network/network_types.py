"""The types of networks. https://docs.openstack.org/neutron/latest/admin/config-ml2.html#ml2-type-drivers"""

from typing import NamedTuple


class NetworkType(NamedTuple):
    """What the networks of a type have."""

    largest_id: int  # of a segment; 0: segments have no id
    in_use: str = ""  # Neutron's name of the error
    header: int = 0  # bytes of a tunnel's header
    physical: bool = False  # whether a segment is on a physical network


TYPES = {
    "vxlan": NetworkType((1 << 24) - 1, "TunnelIdInUse", header=50),
    "gre": NetworkType((1 << 31) - 1, "TunnelIdInUse", header=42),  # a key has 32 bits, the column's integer 31
    "vlan": NetworkType(4094, "VlanIdInUse", physical=True),
    "flat": NetworkType(0, "FlatNetworkInUse", physical=True),
    "local": NetworkType(0),  # its ports reach only those on the same host
}

# A range shows each of its free ids, so it must not be too long.
LARGEST_RANGE = 1 << 16


def range_mistake(kind: str, minimum: int, maximum: int) -> str | None:
    """Return what is wrong with a range of segment ids of a type of networks, or None."""
    largest = TYPES[kind].largest_id
    for number in (minimum, maximum):
        if not 1 <= number <= largest:
            return f"{number} is no id of a {kind} segment, which are 1 to {largest}"
    if maximum < minimum:
        return "the end of the range is less than its start"
    if maximum - minimum >= LARGEST_RANGE:
        return f"a range has at most {LARGEST_RANGE} ids"
    return None

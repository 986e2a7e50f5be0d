"""Which ids the segments of new networks get."""

import random
from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.services.network.network_types import TYPES
from skywright.services.network.tables import Network, SegmentRange

TRIES = 8
Interval = tuple[int, int]  # the first and the last id
_random = random.SystemRandom()


def free_id(session: Session, network: Network) -> int | None:
    """Return a free id for a new *network* with ids, or None.

    It comes from the ranges of its project, or from the shared ranges without those of other projects. Without shared
    ranges of its type and physical network, all ids are shared. Ids of tunnels are random, VLAN ids the lowest.
    """
    query = select(SegmentRange).where(
        SegmentRange.network_type == network.type, SegmentRange.physical_network == network.physical_network
    )
    own: list[Interval] = []
    shared: list[Interval] = []
    foreign: list[Interval] = []
    for row in session.scalars(query.order_by(SegmentRange.minimum)):
        ranges = own if row.project_id == network.project_id else foreign if row.project_id else shared
        ranges.append((row.minimum, row.maximum))
    for ranges in (own, without(shared or [(1, TYPES[network.type].largest_id)], foreign)):
        number = _free(session, network, ranges)
        if number is not None:
            return number
    return None


def without(ranges: Iterable[Interval], excluded: Iterable[Interval]) -> list[Interval]:
    """Return *ranges* without the ids in *excluded*."""
    result = list(ranges)
    for first, last in excluded:
        parts = [((start, min(end, first - 1)), (max(start, last + 1), end)) for start, end in result]
        result = [(start, end) for pair in parts for start, end in pair if start <= end]
    return result


def _free(session: Session, network: Network, ranges: Sequence[Interval]) -> int | None:
    taken = select(Network.segmentation_id).where(
        Network.type == network.type, Network.physical_network == network.physical_network
    )
    if ranges and TYPES[network.type].header:
        for _ in range(TRIES):  # nearly always enough: this reads one row, not those of all networks
            first, last = _random.choices(ranges, [end - start + 1 for start, end in ranges])[0]
            number = _random.randint(first, last)
            if session.scalar(taken.where(Network.segmentation_id == number)) is None:
                return number
    present = set(session.scalars(taken))
    return next((number for start, end in ranges for number in range(start, end + 1) if number not in present), None)

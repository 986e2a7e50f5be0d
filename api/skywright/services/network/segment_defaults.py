"""The ranges of segment ids in the settings, which are records, too: the default ranges."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from uuid import NAMESPACE_OID, uuid5

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skywright.cloud import Cloud
from skywright.services.network.network_types import range_mistake
from skywright.services.network.tables import SegmentRange
from skywright.settings import Settings

TUNNELS, VLANS = re.compile("()([0-9]+):([0-9]+)"), re.compile("([^:]+):([0-9]+):([0-9]+)")
ENTRIES = {"vxlan": TUNNELS, "gre": TUNNELS, "vlan": VLANS}
Key = tuple[str, str, int, int]  # type, physical network, first id, last id


@asynccontextmanager
async def recorded(cloud: Cloud) -> AsyncIterator[None]:
    """Record the ranges of the settings when the API starts."""
    wanted = set(ranges_of(cloud.settings))
    with suppress(IntegrityError):  # another API process starts, too, and records them
        await run_in_threadpool(cloud.database.transact, lambda session: record(session, wanted))
    yield


def record(session: Session, wanted: set[Key]) -> None:
    """Make the default ranges in the records those that are *wanted*."""
    present = {
        (row.network_type, row.physical_network, row.minimum, row.maximum): row
        for row in session.scalars(select(SegmentRange).where(SegmentRange.is_default))
    }
    for key in present.keys() - wanted:
        session.delete(present[key])
    for kind, physical_network, minimum, maximum in sorted(wanted - present.keys()):
        session.add(
            SegmentRange(
                id=str(uuid5(NAMESPACE_OID, f"{kind} {physical_network} {minimum} {maximum}")),
                project_id="",
                is_default=True,
                network_type=kind,
                physical_network=physical_network,
                minimum=minimum,
                maximum=maximum,
            )
        )


def ranges_of(settings: Settings) -> Iterator[Key]:
    """Yield the ranges of *settings*; raise ValueError for a text that is no range."""
    for kind, text in (("vxlan", settings.vxlan_ranges), ("gre", settings.gre_ranges), ("vlan", settings.vlan_ranges)):
        for entry in filter(None, (part.strip() for part in text.split(","))):
            match = ENTRIES[kind].fullmatch(entry)
            if not match:
                raise ValueError(f"{entry!r} in the setting {kind}_ranges is no range")
            physical_network, minimum, maximum = match[1] or "", int(match[2]), int(match[3])
            mistake = range_mistake(kind, minimum, maximum)
            if mistake:
                raise ValueError(f"{entry!r} in the setting {kind}_ranges: {mistake}")
            yield kind, physical_network, minimum, maximum

"""Ranges of segment ids: VXLAN VNIs, GRE keys, VLAN ids of a physical network. New networks get their ids from them.

https://docs.openstack.org/api-ref/network/v2/#network-segment-ranges
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import false, or_, select
from sqlalchemy.orm import Session

from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.paging import Clause
from skywright.services.network import listing
from skywright.services.network.guard import Guard
from skywright.services.network.network_types import TYPES, range_mistake
from skywright.services.network.segment_bodies import SegmentRangeCreate, SegmentRangeUpdate
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import Network, NetworkTag, SegmentRange

router = Router()


class SegmentRanges(StandardResource[SegmentRange]):
    name, collection, label = "network_segment_range", "network_segment_ranges", "NetworkSegmentRange"
    model = SegmentRange
    create_schema, update_schema = SegmentRangeCreate, SegmentRangeUpdate
    filters = listing.Listing(
        SegmentRange,
        "NetworkSegmentRange",
        tags=NetworkTag,
        columns={
            **standard_columns(SegmentRange),
            "network_type": SegmentRange.network_type,
            "physical_network": SegmentRange.physical_network,
        },
    )
    guard = Guard("network_segment_range")

    @property
    def path(self) -> str:
        return f"/v2.0/{self.collection}"  # without hyphens, as in Neutron

    def visible(self, context: Context) -> Clause:
        return or_(false())

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Network Segment Range {identifier} could not be found.", kind="NetworkSegmentRangeNotFound")

    def common(self, context: Context, rows: Sequence[SegmentRange]) -> list[dict[str, Any]]:
        found = super().common(context, rows)
        for view in found:
            del view["tenant_id"]  # as in Neutron
            view["project_id"] = view["project_id"] or None
        return found

    def views(self, context: Context, rows: Sequence[SegmentRange]) -> list[dict[str, Any]]:
        return [_view(context.db, row) for row in rows]

    def create(self, context: Context, item: SegmentRangeCreate, project_id: str) -> SegmentRange:
        self.guard.authorize(context, {"project_id": project_id}, item)
        row = SegmentRange(
            project_id="" if item.shared else project_id,
            network_type=item.network_type,
            physical_network=_physical_network(item),
            **item.given("name", "description", "minimum", "maximum"),
        )
        _check(context.db, row)
        context.db.add(row)
        return row

    def update(self, context: Context, row: SegmentRange, item: SegmentRangeUpdate) -> None:
        _check_own(row)
        before = _used(context.db, row)
        for name, value in item.given("name", "description", "minimum", "maximum").items():
            setattr(row, name, value)
        if any(not row.minimum <= number <= row.maximum for number in before):
            raise _referenced(row)
        _check(context.db, row)

    def delete(self, context: Context, row: SegmentRange) -> None:
        _check_own(row)
        if _used(context.db, row):
            raise _referenced(row)
        context.db.delete(row)


def _view(session: Session, row: SegmentRange) -> dict[str, Any]:
    used = _used(session, row)
    return {
        "default": row.is_default,
        "shared": not row.project_id,
        "network_type": row.network_type,
        "physical_network": row.physical_network,
        "minimum": row.minimum,
        "maximum": row.maximum,
        "used": {str(number): project for number, project in used.items()},
        "available": [number for number in range(row.minimum, row.maximum + 1) if number not in used],
    }


def _used(session: Session, row: SegmentRange) -> dict[int, str]:
    """Return {id: project} of the networks with ids in *row*, also of those that are just removed from hosts."""
    query = select(Network.segmentation_id, Network.project_id).where(
        Network.type == row.network_type,
        Network.physical_network == row.physical_network,
        Network.segmentation_id.between(row.minimum, row.maximum),
    )
    return {row.segmentation_id: row.project_id for row in session.execute(query.order_by(Network.segmentation_id))}


def _physical_network(item: SegmentRangeCreate) -> str:
    """Return the physical network of a new range: VLANs have one, tunnels none."""
    if item.network_type not in TYPES or not TYPES[item.network_type].largest_id:
        text = f"Network type {item.network_type} does not support network segment ranges."
        raise BadRequest(text, kind="NetworkSegmentRangeNetTypeNotSupported")
    if TYPES[item.network_type].physical and not item.physical_network:
        text = "Bad network_segment_range request: Network type vlan requires 'physical_network' to be specified while "
        raise BadRequest(f"{text}creating new range.", kind="BadRequest")
    if item.physical_network and not TYPES[item.network_type].physical:
        text = f"Invalid input for operation: physical_network specified for {item.network_type} network."
        raise BadRequest(text, kind="InvalidInput")
    return item.physical_network or ""


def _check(session: Session, row: SegmentRange) -> None:
    """Refuse a range that is no range, or that has ids of another one, except those of the settings."""
    mistake = range_mistake(row.network_type, row.minimum, row.maximum)
    if mistake:
        raise BadRequest(f"Invalid input for operation: {mistake}.", kind="InvalidInput")
    query = select(SegmentRange.id).where(
        ~SegmentRange.is_default,
        SegmentRange.id != (row.id or ""),
        SegmentRange.network_type == row.network_type,
        SegmentRange.physical_network == row.physical_network,
        SegmentRange.minimum <= row.maximum,
        SegmentRange.maximum >= row.minimum,
    )
    others = session.scalars(query.order_by(SegmentRange.minimum)).all()
    if others:
        text = f"Network segment range overlaps with range(s) with id {', '.join(others)}"
        raise Conflict(text, kind="NetworkSegmentRangeOverlaps")


def _check_own(row: SegmentRange) -> None:
    """Refuse to change a range of the settings."""
    if row.is_default:
        text = f"Network Segment Range {row.id} is a default segment range which could not be updated or deleted."
        raise BadRequest(text, kind="NetworkSegmentRangeDefaultReadOnly")


def _referenced(row: SegmentRange) -> Conflict:
    text = f"Network Segment Range {row.id} is referenced by one or more project networks."
    return Conflict(text, kind="NetworkSegmentRangeReferencedByProject")


RANGES = SegmentRanges()
RANGES.register(router)

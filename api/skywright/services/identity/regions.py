"""`/v3/regions`. https://docs.openstack.org/api-ref/identity/v3/#regions"""

from typing import Annotated, Any

from fastapi import Response
from pydantic import StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db import new_hex
from skywright.db.identity import Endpoint, Region
from skywright.http import BadRequest, Conflict, Context, Forbidden, Router
from skywright.http.bodies import Strict
from skywright.http.router import json_response
from skywright.services.identity.common import Body, Description, change_extra, exists, flush, link, reads
from skywright.services.identity.listing import page

router = Router()
RegionId = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00/]*$")]


class NewRegion(Body):
    id: RegionId | None = None
    parent_region_id: RegionId | None = None
    description: Description | None = None


class RegionChange(Body):
    parent_region_id: RegionId | None = None
    description: Description | None = None


class CreateRegion(Strict):
    region: NewRegion


class UpdateRegion(Strict):
    region: RegionChange


def view(context: Context, row: Region) -> dict[str, Any]:
    """Return the view of a region."""
    return {
        **row.extra,
        "id": row.id,
        "parent_region_id": row.parent_region_id,
        "description": row.description,
        "links": link(context, f"regions/{row.id}"),
    }


@reads(router, "/v3/regions", "identity:list_regions")
def list_regions(context: Context) -> dict[str, Any]:
    filters = {"parent_region_id": Region.parent_region_id}
    return page(context, "regions", select(Region), view, order=(Region.id,), filters=filters)


@router.operation("POST", "/v3/regions", policy="identity:create_region", status=201)
def create_region(context: Context, body: CreateRegion) -> dict[str, Any]:
    return {"region": view(context, _add(context.db, body.region.id or new_hex(), body.region))}


@router.operation("PUT", "/v3/regions/{region_id}", policy="identity:create_region")
def create_named_region(context: Context, region_id: RegionId, body: CreateRegion) -> Response:
    if body.region.id not in (None, region_id):
        raise BadRequest("The region id in the body differs from the one in the URL.")
    return json_response({"region": view(context, _add(context.db, region_id, body.region))}, 201)


@reads(router, "/v3/regions/{region_id}", "identity:get_region")
def show_region(context: Context, region_id: str) -> dict[str, Any]:
    return {"region": view(context, get(context.db, region_id))}


@router.operation("PATCH", "/v3/regions/{region_id}", policy="identity:update_region")
def update_region(context: Context, region_id: str, body: UpdateRegion) -> dict[str, Any]:
    row, wanted = get(context.db, region_id), body.region
    if "description" in wanted.model_fields_set:
        row.description = wanted.description or ""
    if "parent_region_id" in wanted.model_fields_set:
        _check_parent(context.db, row.id, wanted.parent_region_id)
        row.parent_region_id = wanted.parent_region_id
    change_extra(row, wanted)
    return {"region": view(context, row)}


@router.operation("DELETE", "/v3/regions/{region_id}", policy="identity:delete_region", status=204)
def delete_region(context: Context, region_id: str) -> None:
    row = get(context.db, region_id)
    if context.db.execute(select(Region.id).where(Region.parent_region_id == row.id)).first():
        raise Conflict(f"The region {row.id} cannot be deleted because it has child regions.")
    if context.db.execute(select(Endpoint.id).where(Endpoint.region_id == row.id)).first():
        raise Forbidden(f"Unable to delete region {row.id} because it has associated endpoints.")
    context.db.delete(row)


def get(session: Session, region_id: str) -> Region:
    """Return the region, or raise NotFound."""
    return exists(session.get(Region, region_id), "region", region_id)


def _add(session: Session, region_id: str, wanted: NewRegion) -> Region:
    if session.get(Region, region_id):
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {region_id}.")
    _check_parent(session, region_id, wanted.parent_region_id)
    row = Region(
        id=region_id,
        parent_region_id=wanted.parent_region_id,
        description=wanted.description or "",
        extra=wanted.unknown,
    )
    session.add(row)
    flush(session, "region")
    return row


def _check_parent(session: Session, region_id: str, parent: str | None) -> None:
    """Check that the parent exists, and that the parents form no loop."""
    while parent is not None:
        if parent == region_id:
            raise BadRequest("A region cannot be its own parent, directly or indirectly.")
        parent = get(session, parent).parent_region_id

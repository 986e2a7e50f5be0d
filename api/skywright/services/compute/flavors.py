"""Flavors. https://docs.openstack.org/api-ref/compute/#flavors"""

from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import AfterValidator, Field, StrictInt
from sqlalchemy import or_, select
from sqlalchemy.sql import ColumnElement, Select

from skywright.db import new_uuid
from skywright.http import BadRequest, Conflict, Context, NotFound, Router, fields
from skywright.http.bodies import Strict
from skywright.http.microversions import since, version_of
from skywright.http.policy import AUTHENTICATED
from skywright.services.compute.listing import PAGING, boolean_parameter, next_link, page, parameters
from skywright.services.compute.tables import Flavor, FlavorAccess
from skywright.services.compute.validation import (
    Boolean,
    LongDescription,
    Name,
    Natural,
    Number,
    Positive,
    unexpected,
    valid_name,
)

router = Router()
EXTRA_SPECS = "os_compute_api:os-flavor-extra-specs:index"

SORT_KEYS = {
    "flavorid": Flavor.id,
    "name": Flavor.name,
    "memory_mb": Flavor.ram_mib,
    "vcpus": Flavor.vcpus,
    "root_gb": Flavor.disk_gib,
    "ephemeral_gb": Flavor.ephemeral_gib,
    "swap": Flavor.swap_mib,
    "rxtx_factor": Flavor.rxtx_factor,
    "is_public": Flavor.is_public,
    "disabled": Flavor.disabled,
    "created_at": Flavor.created_at,
    "updated_at": Flavor.created_at,
    "id": Flavor.id,
    "vcpu_weight": Flavor.vcpus,
}
PARAMETERS = PAGING | {"is_public", "minRam", "minDisk", "sort_key", "sort_dir"}


FlavorId = Annotated[str, Field(pattern=r"\A[a-zA-Z0-9. _\-]{1,255}\z"), AfterValidator(valid_name)]


class NewFlavor(Strict):
    name: Name
    id: FlavorId | StrictInt | None = None
    ram: Positive
    vcpus: Positive
    disk: Natural
    ephemeral: Natural = Field(0, alias="OS-FLV-EXT-DATA:ephemeral")
    swap: Natural | Literal[""] = 0
    rxtx_factor: Annotated[Number, Field(gt=0, le=1e30)] = 1.0
    is_public: Boolean = Field(True, alias="os-flavor-access:is_public")
    description: LongDescription | None = None


class CreateFlavor(Strict):
    flavor: NewFlavor


class FlavorChange(Strict):
    description: LongDescription | None


class UpdateFlavor(Strict):
    flavor: FlavorChange


@router.operation("GET", "/v2.1/flavors", policy=AUTHENTICATED)
def list_flavors(context: Context) -> dict[str, Any]:
    rows, links = _page(context)
    brief = [_brief(context, row) for row in rows]
    return {"flavors": brief} | links


@router.operation("GET", "/v2.1/flavors/detail", policy=(AUTHENTICATED, EXTRA_SPECS))
def list_flavors_detail(context: Context) -> dict[str, Any]:
    rows, links = _page(context)
    return {"flavors": [flavor_view(context, row) for row in rows]} | links


@router.operation("GET", "/v2.1/flavors/{flavor_id}", policy=(AUTHENTICATED, EXTRA_SPECS))
def show_flavor(context: Context, flavor_id: str) -> dict[str, Any]:
    return {"flavor": flavor_view(context, find_flavor(context, flavor_id))}


@router.operation("POST", "/v2.1/flavors", policy=("os_compute_api:os-flavor-manage:create", EXTRA_SPECS))
def create_flavor(context: Context, body: CreateFlavor) -> dict[str, Any]:
    wanted = body.flavor
    if wanted.description is not None and version_of(context) < 55:
        raise unexpected(["description"])
    identifier = new_uuid() if wanted.id in (None, "auto") else str(wanted.id)
    if context.db.get(Flavor, identifier):
        raise Conflict(f"Flavor with ID {identifier} already exists.")
    if context.db.scalar(select(Flavor.id).where(Flavor.name == wanted.name)):
        raise Conflict(f"Flavor with name {wanted.name} already exists.")
    row = Flavor(
        id=identifier,
        name=wanted.name,
        description=wanted.description,
        vcpus=wanted.vcpus,
        ram_mib=wanted.ram,
        disk_gib=wanted.disk,
        ephemeral_gib=wanted.ephemeral,
        swap_mib=wanted.swap or 0,
        rxtx_factor=wanted.rxtx_factor,
        is_public=wanted.is_public,
    )
    context.db.add(row)
    context.db.flush()
    return {"flavor": flavor_view(context, row)}


@router.operation("PUT", "/v2.1/flavors/{flavor_id}", policy=("os_compute_api:os-flavor-manage:update", EXTRA_SPECS))
def update_flavor(context: Context, flavor_id: str, body: UpdateFlavor) -> dict[str, Any]:
    since(context, 55)
    row = find_flavor(context, flavor_id)
    row.description = body.flavor.description
    return {"flavor": flavor_view(context, row)}


@router.operation("DELETE", "/v2.1/flavors/{flavor_id}", policy="os_compute_api:os-flavor-manage:delete", status=202)
def delete_flavor(context: Context, flavor_id: str) -> Response:
    context.db.delete(find_flavor(context, flavor_id))
    return Response(status_code=202)


def accessible(context: Context) -> ColumnElement[bool]:
    """Return the query for the flavors that the caller's project may use: public ones and private ones with access."""
    given = select(FlavorAccess.flavor_id).where(FlavorAccess.project_id == (context.caller.project_id or ""))
    return or_(Flavor.is_public, Flavor.id.in_(given))


def find_flavor(context: Context, flavor_id: str) -> Flavor:
    """Return the flavor *flavor_id* if the caller may see it."""
    query = select(Flavor).where(Flavor.id == flavor_id)
    if not context.is_admin:
        query = query.where(accessible(context))
    row = context.db.scalar(query)
    if row is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")
    return row


def _page(context: Context) -> tuple[list[Flavor], dict[str, Any]]:
    """Return the requested page of flavors, and the link to the next page."""
    wanted = parameters(context, PARAMETERS)
    key, direction = wanted.get("sort_key", "flavorid"), wanted.get("sort_dir", "asc")
    if key not in SORT_KEYS or direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid input for query parameters sort_key, sort_dir. Values: {key}, {direction}.")
    order = [(column, direction == "asc") for column in (SORT_KEYS[key], Flavor.id)]
    scope = select(Flavor)
    query = _filtered(context, scope)
    rows, marker = page(context, query, order, scope=scope, column=Flavor.id, marker_of=lambda row: str(row.id))
    return rows, next_link(context, "flavors_links", marker)


def _filtered(context: Context, query: Select[Any]) -> Select[Any]:
    parameters = context.request.query_params
    public = _public(context, parameters.get("is_public"))
    if public:
        query = query.where(accessible(context))
    elif public is False:
        query = query.where(Flavor.is_public.is_(False))
    if not context.is_admin:
        query = query.where(Flavor.disabled.is_(False))
    for name, column in (("minDisk", Flavor.disk_gib), ("minRam", Flavor.ram_mib)):
        if name in parameters:
            try:
                query = query.where(column >= fields.integer(parameters[name]))
            except ValueError:
                raise BadRequest(f"Invalid {name} filter [{parameters[name]}]") from None
    return query


def _public(context: Context, text: str | None) -> bool | None:
    """Return which flavors to list: True: public and accessible ones, False: private ones, None: all."""
    if text is None or not context.is_admin:
        return True
    if text.lower() == "none":
        return None
    return boolean_parameter(text, "is_public")


def _links(context: Context, identifier: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{context.base_url}/v2.1/flavors/{identifier}"},
        {"rel": "bookmark", "href": f"{context.base_url}/flavors/{identifier}"},
    ]


def _brief(context: Context, row: Flavor) -> dict[str, Any]:
    view: dict[str, Any] = {"id": row.id, "name": row.name, "links": _links(context, row.id)}
    return view | ({"description": row.description} if version_of(context) >= 55 else {})


def flavor_view(context: Context, row: Flavor) -> dict[str, Any]:
    """Return the view of the flavor *row* at the request's microversion."""
    version = version_of(context)
    view = {
        "id": row.id,
        "name": row.name,
        "ram": row.ram_mib,
        "disk": row.disk_gib,
        "vcpus": row.vcpus,
        "swap": row.swap_mib or (0 if version >= 75 else ""),
        "OS-FLV-EXT-DATA:ephemeral": row.ephemeral_gib,
        "OS-FLV-DISABLED:disabled": row.disabled,
        "os-flavor-access:is_public": row.is_public,
        "rxtx_factor": row.rxtx_factor,
        "links": _links(context, row.id),
    }
    if version >= 55:
        view["description"] = row.description
    if version >= 61 and context.allows(EXTRA_SPECS):
        view["extra_specs"] = row.extra_specs
    return view

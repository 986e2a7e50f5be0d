"""Extra specs of flavors, and the access of projects to private flavors."""

from typing import Annotated, Any

from fastapi import Response
from pydantic import AfterValidator, Field, StrictFloat, StrictInt, StrictStr
from sqlalchemy import select

from skywright.http import BadRequest, Conflict, Context, NotFound, Router, fields
from skywright.http.bodies import Omittable, Strict, plain
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.extra_specs import check_extra_specs
from skywright.services.compute.flavors import find_flavor
from skywright.services.compute.tables import Flavor, FlavorAccess
from skywright.services.compute.validation import KEY, Identifier

router = Router()
# Numbers only; booleans are refused.
Text = Annotated[StrictStr, Field(max_length=255), AfterValidator(plain)]
Value = Text | Annotated[StrictInt, Field(ge=-fields.LARGEST, le=fields.LARGEST)] | StrictFloat
Specs = dict[Annotated[str, Field(pattern=KEY)], Value]


class ExtraSpecs(Strict):
    extra_specs: Specs


class Tenant(Strict):
    tenant: Identifier


class AccessAction(Strict):
    addTenantAccess: Omittable[Tenant] = None
    removeTenantAccess: Omittable[Tenant] = None


@router.operation(
    "GET", "/v2.1/flavors/{flavor_id}/os-extra_specs", policy="os_compute_api:os-flavor-extra-specs:index"
)
def list_specs(context: Context, flavor_id: str) -> dict[str, Any]:
    return {"extra_specs": find_flavor(context, flavor_id).extra_specs}


@router.operation(
    "POST", "/v2.1/flavors/{flavor_id}/os-extra_specs", policy="os_compute_api:os-flavor-extra-specs:create"
)
def add_specs(context: Context, flavor_id: str, body: ExtraSpecs) -> dict[str, Any]:
    specs = _checked(context, body.extra_specs)
    row = find_flavor(context, flavor_id)
    row.extra_specs = row.extra_specs | specs
    return {"extra_specs": specs}


@router.operation(
    "GET", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", policy="os_compute_api:os-flavor-extra-specs:show"
)
def show_spec(context: Context, flavor_id: str, key: str) -> dict[str, Any]:
    return {key: _value(find_flavor(context, flavor_id), key)}


@router.operation(
    "PUT", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", policy="os_compute_api:os-flavor-extra-specs:update"
)
def set_spec(context: Context, flavor_id: str, key: str, body: Specs) -> dict[str, Any]:
    if list(body) != [key]:
        raise BadRequest("Request body and URI mismatch")
    specs = _checked(context, body)
    row = find_flavor(context, flavor_id)
    row.extra_specs = row.extra_specs | specs
    return specs


@router.operation(
    "DELETE", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", policy="os_compute_api:os-flavor-extra-specs:delete"
)
def delete_spec(context: Context, flavor_id: str, key: str) -> Response:
    row = find_flavor(context, flavor_id)
    _value(row, key)
    row.extra_specs = {name: value for name, value in row.extra_specs.items() if name != key}
    return Response(status_code=200)


@router.operation("GET", "/v2.1/flavors/{flavor_id}/os-flavor-access", policy="os_compute_api:os-flavor-access")
def list_access(context: Context, flavor_id: str) -> dict[str, Any]:
    row = find_flavor(context, flavor_id)
    if row.is_public:
        raise NotFound("Access list not available for public flavors.")
    return _access(context, row)


@router.operation(
    "POST",
    "/v2.1/flavors/{flavor_id}/action",
    policy=on_target(
        "os_compute_api:os-flavor-access:add_tenant_access", "os_compute_api:os-flavor-access:remove_tenant_access"
    ),
)
def change_access(context: Context, flavor_id: str, body: AccessAction) -> dict[str, Any]:
    add, remove = body.addTenantAccess, body.removeTenantAccess
    if (add is None) == (remove is None):
        raise BadRequest("There must be exactly one of addTenantAccess and removeTenantAccess.")
    context.enforce(context.rules[0 if add else 1])
    if add:
        context.check_project(add.tenant)
    row = find_flavor(context, flavor_id)
    if add:
        _grant(context, row, add.tenant)
    elif remove:
        _revoke(context, row, remove.tenant)
    context.db.flush()
    return _access(context, row)


def _grant(context: Context, row: Flavor, project: str) -> None:
    if row.is_public and version_of(context) >= 7:
        raise Conflict("Can not add access to a public flavor.")
    if context.db.get(FlavorAccess, (row.id, project)):
        raise Conflict(f"Flavor access already exists for flavor {row.id} and project {project} combination.")
    context.db.add(FlavorAccess(flavor_id=row.id, project_id=project))


def _revoke(context: Context, row: Flavor, project: str) -> None:
    access = context.db.get(FlavorAccess, (row.id, project))
    if access is None:
        raise NotFound(f"Flavor access not found for {row.id} / {project} combination.")
    context.db.delete(access)


def _access(context: Context, row: Flavor) -> dict[str, Any]:
    query = select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == row.id).order_by(FlavorAccess.project_id)
    return {"flavor_access": [{"flavor_id": row.id, "tenant_id": project} for project in context.db.scalars(query)]}


def _value(row: Flavor, key: str) -> Any:
    if key not in row.extra_specs:
        raise NotFound(f"Flavor {row.id} has no extra specs with key {key}.")
    return row.extra_specs[key]


def _checked(context: Context, specs: Specs) -> dict[str, str]:
    if version_of(context) >= 86:
        check_extra_specs(specs)
    return {key: str(value) for key, value in specs.items()}

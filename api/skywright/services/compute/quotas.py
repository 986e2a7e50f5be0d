"""Quotas of projects. https://docs.openstack.org/api-ref/compute/#quota-sets-os-quota-sets

Instances, cores and memory are unlimited by default; the other limits are Nova's.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from fastapi import Response
from pydantic import Field
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from skywright.http import BadRequest, Context, Forbidden, Router
from skywright.http.bodies import Omittable, Strict
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.listing import parameters
from skywright.services.compute.tables import QuotaLimit, Server
from skywright.services.compute.validation import Boolean, Integer, unexpected

router = Router()

SERVER_GROUPS = {"server_groups": 10, "server_group_members": 10}
DEFAULTS = {
    "instances": -1,
    "cores": -1,
    "ram": -1,
    "key_pairs": 100,
    "metadata_items": 128,
} | SERVER_GROUPS
# Resources of older microversions. Their limits are stored, but this cloud has no such resources.
INJECTED = {"injected_files": 0, "injected_file_content_bytes": 0, "injected_file_path_bytes": 0}
# The quotas of a user are those of the project.
PARAMETERS = frozenset({"user_id"})
NETWORK = {"fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1}


Limit = Omittable[Annotated[Integer, Field(ge=-1)]]


class QuotaClass(Strict):
    instances: Limit = None
    cores: Limit = None
    ram: Limit = None
    key_pairs: Limit = None
    metadata_items: Limit = None
    server_groups: Limit = None
    server_group_members: Limit = None
    injected_files: Limit = None
    injected_file_content_bytes: Limit = None
    injected_file_path_bytes: Limit = None
    fixed_ips: Limit = None
    floating_ips: Limit = None
    security_groups: Limit = None
    security_group_rules: Limit = None


class QuotaSet(QuotaClass):
    force: Boolean = False


class UpdateQuotaSet(Strict):
    quota_set: QuotaSet


class UpdateQuotaClass(Strict):
    quota_class_set: QuotaClass


def limits(session: Session, project_id: str | None) -> dict[str, int]:
    """Return the limits of *project_id*; -1 is unlimited."""
    query = select(QuotaLimit).where(QuotaLimit.project_id.in_(("", project_id or "")))
    rows = sorted(session.scalars(query), key=lambda row: row.project_id)  # the defaults, "", come first
    return DEFAULTS | INJECTED | NETWORK | {row.resource: row.limit for row in rows}


def usage(session: Session, project_id: str) -> dict[str, int]:
    """Return the usage of the servers of *project_id*."""
    query = select(func.count(), func.sum(Server.vcpus), func.sum(Server.ram_mib)).where(
        Server.project_id == project_id, Server.deleted_at.is_(None)
    )
    instances, cores, ram = session.execute(query).one()
    return {"instances": instances, "cores": cores or 0, "ram": ram or 0}


def check_servers(session: Session, project_id: str, allowed: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Raise Forbidden if *wanted* (instances, cores, ram) is more than *allowed* leaves to *project_id*."""
    if all(allowed[name] < 0 for name in wanted):
        return
    used = usage(session, project_id)
    over = [name for name, more in wanted.items() if 0 <= allowed[name] < used[name] + more]
    if over:
        parts = [", ".join(str(values[name]) for name in over) for values in (wanted, used, allowed)]
        raise Forbidden(
            f"Quota exceeded for {', '.join(over)}: Requested {parts[0]}, but already used {parts[1]} of {parts[2]}"
        )


def check_metadata(allowed: Mapping[str, int], metadata: Mapping[str, Any]) -> None:
    """Raise Forbidden if *metadata* has more items than a server may have."""
    if 0 <= allowed["metadata_items"] < len(metadata):
        raise Forbidden(f"Maximum number of metadata items exceeds {allowed['metadata_items']}")


@router.operation("GET", "/v2.1/os-quota-sets/{project_id}", policy=on_target("os_compute_api:os-quota-sets:show"))
def show_quotas(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    parameters(context, PARAMETERS)
    context.check_project(project_id)
    return {"quota_set": {"id": project_id} | _view(context, limits(context.db, project_id))}


@router.operation(
    "GET", "/v2.1/os-quota-sets/{project_id}/defaults", policy=on_target("os_compute_api:os-quota-sets:defaults")
)
def show_default_quotas(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    context.check_project(project_id)
    return {"quota_set": {"id": project_id} | _view(context, limits(context.db, None))}


@router.operation(
    "GET", "/v2.1/os-quota-sets/{project_id}/detail", policy=on_target("os_compute_api:os-quota-sets:detail")
)
def show_quota_detail(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    parameters(context, PARAMETERS)
    context.check_project(project_id)
    used = usage(context.db, project_id)
    view = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in _view(context, limits(context.db, project_id)).items()
    }
    return {"quota_set": {"id": project_id} | view}


@router.operation("PUT", "/v2.1/os-quota-sets/{project_id}", policy=on_target("os_compute_api:os-quota-sets:update"))
def update_quotas(context: Context, project_id: str, body: UpdateQuotaSet) -> dict[str, Any]:
    _authorize(context, project_id)
    _check_whole(context)
    context.check_project(project_id)
    wanted = _wanted(body.quota_set, _view(context, DEFAULTS | INJECTED | NETWORK))
    used = {} if body.quota_set.force else usage(context.db, project_id)
    for name, limit in wanted.items():
        if 0 <= limit < used.get(name, 0):
            least = f"must be greater than or equal to already used and reserved {used[name]}."
            raise BadRequest(f"Quota limit {limit} for {name} {least}")
    _store(context.db, project_id, wanted)
    return {"quota_set": _view(context, limits(context.db, project_id))}


@router.operation(
    "DELETE", "/v2.1/os-quota-sets/{project_id}", policy=on_target("os_compute_api:os-quota-sets:delete"), status=202
)
def delete_quotas(context: Context, project_id: str) -> Response:
    _authorize(context, project_id)
    _check_whole(context)
    context.db.execute(delete(QuotaLimit).where(QuotaLimit.project_id == project_id))
    return Response(status_code=202)


@router.operation("GET", "/v2.1/os-quota-class-sets/{name}", policy="os_compute_api:os-quota-class-sets:show")
def show_quota_class(context: Context, name: str) -> dict[str, Any]:
    return {"quota_class_set": {"id": name} | _view_class(context)}


@router.operation("PUT", "/v2.1/os-quota-class-sets/{name}", policy="os_compute_api:os-quota-class-sets:update")
def update_quota_class(context: Context, name: str, body: UpdateQuotaClass) -> dict[str, Any]:
    if name != "default":
        raise BadRequest("The only quota class is default.")
    _store(context.db, "", _wanted(body.quota_class_set, _view_class(context) | SERVER_GROUPS))
    return {"quota_class_set": _view_class(context)}


def _store(session: Session, project_id: str, wanted: dict[str, int]) -> None:
    for name, limit in wanted.items():
        session.merge(QuotaLimit(project_id=project_id, resource=name, limit=limit))
    session.flush()


def _wanted(body: QuotaClass, known: Collection[str]) -> dict[str, int]:
    """Return the limits in the body, which must be among the *known* ones."""
    given = body.model_dump(exclude_unset=True, exclude={"force"})
    if foreign := [name for name in given if name not in known]:
        raise unexpected(foreign)
    return given


def _authorize(context: Context, project_id: str) -> None:
    """Enforce the route's rule on the project."""
    context.enforce(context.rules[0], {"project_id": project_id})


def _check_whole(context: Context) -> None:
    """Raise BadRequest if the request changes the quotas of one user of the project."""
    if "user_id" in parameters(context, PARAMETERS):
        raise BadRequest("This cloud has no quotas of users: a project's quotas hold for all of its users.")


def _view(context: Context, values: Mapping[str, int]) -> dict[str, int]:
    version = version_of(context)
    hidden = (NETWORK if version >= 36 else {}) | (INJECTED if version >= 57 else {})
    return {name: value for name, value in values.items() if name not in hidden}


def _view_class(context: Context) -> dict[str, int]:
    """Return the default limits; before 2.50 without those of server groups, later without those of networks."""
    version = version_of(context)
    hidden = (NETWORK if version >= 50 else SERVER_GROUPS) | (INJECTED if version >= 57 else {})
    return {name: value for name, value in limits(context.db, None).items() if name not in hidden}

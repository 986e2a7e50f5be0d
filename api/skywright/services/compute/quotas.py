"""Quotas of projects. https://docs.openstack.org/api-ref/compute/#quota-sets-os-quota-sets

Servers, cores and memory are unlimited until an administrator says otherwise; the other limits are Nova's.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from skywright.db.identity import Project
from skywright.http import BadRequest, Context, Forbidden, Router
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.tables import QuotaLimit, Server
from skywright.services.compute.validation import Integer, Strict

router = Router()

DEFAULTS = {
    "instances": -1,
    "cores": -1,
    "ram": -1,
    "key_pairs": 100,
    "metadata_items": 128,
    "server_groups": 10,
    "server_group_members": 10,
}
# Resources that only older versions know. Their limits are kept; nothing of them is offered that they could limit.
INJECTED = {"injected_files": 0, "injected_file_content_bytes": 0, "injected_file_path_bytes": 0}
NETWORK = {"fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1}


class QuotaSet(Strict):
    tenant_id: str | None = None
    force: bool = False
    instances: Integer | None = None
    cores: Integer | None = None
    ram: Integer | None = None
    key_pairs: Integer | None = None
    metadata_items: Integer | None = None
    server_groups: Integer | None = None
    server_group_members: Integer | None = None
    injected_files: Integer | None = None
    injected_file_content_bytes: Integer | None = None
    injected_file_path_bytes: Integer | None = None
    fixed_ips: Integer | None = None
    floating_ips: Integer | None = None
    security_groups: Integer | None = None
    security_group_rules: Integer | None = None


class UpdateQuotaSet(Strict):
    quota_set: QuotaSet


class UpdateQuotaClass(Strict):
    quota_class_set: QuotaSet


def limits(session: Session, project_id: str | None) -> dict[str, int]:
    """The limits that hold for *project_id*; -1: none."""
    query = select(QuotaLimit).where(QuotaLimit.project_id.in_(("", project_id or "")))
    rows = sorted(session.scalars(query), key=lambda row: row.project_id)  # the defaults, "", come first
    return DEFAULTS | INJECTED | NETWORK | {row.resource: row.limit for row in rows}


def usage(session: Session, project_id: str) -> dict[str, int]:
    """What the servers of *project_id* use."""
    query = select(func.count(), func.sum(Server.vcpus), func.sum(Server.ram_mib)).where(
        Server.project_id == project_id, Server.deleted_at.is_(None)
    )
    instances, cores, ram = session.execute(query).one()
    return {"instances": instances, "cores": cores or 0, "ram": ram or 0}


def check_servers(session: Session, project_id: str, allowed: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Forbidden if *wanted* (instances, cores, ram) is more than *allowed* leaves to *project_id*."""
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
    """Forbidden if *metadata* has more items than one server may have."""
    if 0 <= allowed["metadata_items"] < len(metadata):
        raise Forbidden(f"Maximum number of metadata items exceeds {allowed['metadata_items']}")


@router.operation("GET", "/v2.1/os-quota-sets/{project_id}", policy=on_target("os_compute_api:os-quota-sets:show"))
def show_quotas(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    _known(context, project_id)
    return {"quota_set": {"id": project_id} | _view(context, limits(context.db, project_id))}


@router.operation(
    "GET", "/v2.1/os-quota-sets/{project_id}/defaults", policy=on_target("os_compute_api:os-quota-sets:defaults")
)
def show_default_quotas(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    _known(context, project_id)
    return {"quota_set": {"id": project_id} | _view(context, limits(context.db, None))}


@router.operation(
    "GET", "/v2.1/os-quota-sets/{project_id}/detail", policy=on_target("os_compute_api:os-quota-sets:detail")
)
def show_quota_detail(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    _known(context, project_id)
    used = usage(context.db, project_id)
    view = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in _view(context, limits(context.db, project_id)).items()
    }
    return {"quota_set": {"id": project_id} | view}


@router.operation("PUT", "/v2.1/os-quota-sets/{project_id}", policy=on_target("os_compute_api:os-quota-sets:update"))
def update_quotas(context: Context, project_id: str, body: UpdateQuotaSet) -> dict[str, Any]:
    _authorize(context, project_id)
    _known(context, project_id)
    wanted = _wanted(context, body.quota_set)
    if not body.quota_set.force:
        used = usage(context.db, project_id)
        for name, limit in wanted.items():
            if 0 <= limit < used.get(name, 0):
                raise BadRequest(f"Quota limit {limit} for {name} must be greater than or equal to already used.")
    _store(context.db, project_id, wanted)
    return {"quota_set": _view(context, limits(context.db, project_id))}


@router.operation(
    "DELETE", "/v2.1/os-quota-sets/{project_id}", policy=on_target("os_compute_api:os-quota-sets:delete"), status=202
)
def delete_quotas(context: Context, project_id: str) -> Response:
    _authorize(context, project_id)
    context.db.execute(delete(QuotaLimit).where(QuotaLimit.project_id == project_id))
    return Response(status_code=202)


@router.operation("GET", "/v2.1/os-quota-class-sets/{name}", policy="os_compute_api:os-quota-class-sets:show")
def show_quota_class(context: Context, name: str) -> dict[str, Any]:
    return {"quota_class_set": {"id": name} | _view(context, limits(context.db, None))}


@router.operation("PUT", "/v2.1/os-quota-class-sets/{name}", policy="os_compute_api:os-quota-class-sets:update")
def update_quota_class(context: Context, name: str, body: UpdateQuotaClass) -> dict[str, Any]:
    if name != "default":
        raise BadRequest("The only quota class is default.")
    _store(context.db, "", _wanted(context, body.quota_class_set))
    return {"quota_class_set": _view(context, limits(context.db, None))}


def _store(session: Session, project_id: str, wanted: dict[str, int]) -> None:
    for name, limit in wanted.items():
        session.merge(QuotaLimit(project_id=project_id, resource=name, limit=limit))
    session.flush()


def _wanted(context: Context, body: QuotaSet) -> dict[str, int]:
    """The limits that the body sets, checked."""
    given = body.model_dump(exclude_none=True, exclude={"tenant_id", "force"})
    foreign = [name for name in given if name not in _view(context, limits(context.db, None))]
    if foreign:
        raise BadRequest(f"Additional properties are not allowed ({', '.join(foreign)})")
    if any(limit < -1 for limit in given.values()):
        raise BadRequest("Quota limit must be -1 or greater.")
    return given


def _authorize(context: Context, project_id: str) -> None:
    """Enforce the route's rule on the project."""
    context.enforce(context.rules[0], {"project_id": project_id})


def _known(context: Context, project_id: str) -> None:
    if project_id != context.who.project_id and context.db.get(Project, project_id) is None:
        raise BadRequest(f"Project ID {project_id} is not a valid project.")


def _view(context: Context, values: Mapping[str, int]) -> dict[str, int]:
    version = version_of(context)
    hidden = (NETWORK if version >= 36 else {}) | (INJECTED if version >= 57 else {})
    return {name: value for name, value in values.items() if name not in hidden}

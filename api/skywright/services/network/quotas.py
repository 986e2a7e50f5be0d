"""Quotas of projects."""

from typing import Any

from sqlalchemy import delete, select

from skywright.http import BadRequest, Context, Forbidden, Router
from skywright.http.policy import on_target
from skywright.services.network import ipam, schemas
from skywright.services.network.tables import NetworkQuota
from skywright.services.network.targets import owned

router = Router()
READ = "get_quota"


@router.operation("GET", "/v2.0/quotas", policy=READ)
def list_quotas(context: Context) -> dict[str, Any]:
    """Return the projects whose quotas differ from the defaults."""
    if not context.is_admin:
        text = "User does not have admin privileges: Only admin can view or configure quota."
        raise Forbidden(text, kind="AdminRequired")
    projects = context.db.scalars(select(NetworkQuota.project_id).distinct().order_by(NetworkQuota.project_id))
    return {
        "quotas": [
            {**ipam.limits(context.db, project), "project_id": project, "tenant_id": project}
            for project in list(projects)
        ]
    }


@router.operation("GET", "/v2.0/quotas/{project_id}", policy=on_target(READ))
def show_quota(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    return {"quota": ipam.limits(context.db, project_id)}


@router.operation("GET", "/v2.0/quotas/{project_id}/default", policy=on_target(READ))
def show_default(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    return {"quota": ipam.QUOTAS}


@router.operation("GET", "/v2.0/quotas/{project_id}/details", policy=on_target(READ))
def show_details(context: Context, project_id: str) -> dict[str, Any]:
    return _details(context, project_id)


@router.operation("GET", "/v2.0/quotas/{project_id}/details.json", policy=on_target(READ))
def show_details_json(context: Context, project_id: str) -> dict[str, Any]:
    """The path of Neutron's older clients, with a suffix."""
    return _details(context, project_id)


@router.operation("PUT", "/v2.0/quotas/{project_id}", policy=on_target("update_quota"))
def update_quota(context: Context, project_id: str, body: dict[str, Any]) -> dict[str, Any]:
    _authorize(context, project_id)
    wanted = schemas.one(schemas.Quota, body, "quota")
    context.check_project(project_id)
    limits = wanted.given(*ipam.QUOTAS)
    for name, limit in limits.items():
        used = 0 if wanted.force or limit < 0 else ipam.used(context.db, project_id, name)
        if 0 <= limit < used:
            raise BadRequest(f"Quota limit {limit} for {name} must be greater than or equal to already used {used}")
    for name, limit in limits.items():
        context.db.merge(NetworkQuota(project_id=project_id, resource=name, limit=limit))
    context.db.flush()
    return {"quota": ipam.limits(context.db, project_id)}


@router.operation("DELETE", "/v2.0/quotas/{project_id}", policy=on_target("delete_quota"), status=204)
def delete_quota(context: Context, project_id: str) -> None:
    _authorize(context, project_id)
    context.db.execute(delete(NetworkQuota).where(NetworkQuota.project_id == project_id))


def _authorize(context: Context, project_id: str) -> None:
    """Enforce the route's rule on the project."""
    context.enforce(context.rules[0], owned(project_id))


def _details(context: Context, project_id: str) -> dict[str, Any]:
    _authorize(context, project_id)
    return {
        "quota": {
            name: {"limit": limit, "used": ipam.used(context.db, project_id, name), "reserved": 0}
            for name, limit in ipam.limits(context.db, project_id).items()
        }
    }

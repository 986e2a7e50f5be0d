"""What projects used over a time. https://docs.openstack.org/api-ref/compute/#usage-reports-os-simple-tenant-usage"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select

from skywright.db import utcnow
from skywright.http import BadRequest, Context, Router
from skywright.http.policy import on_target
from skywright.services.compute.server_views import VM_STATES
from skywright.services.compute.tables import Server
from skywright.services.compute.validation import moment_parameter

router = Router()


@router.operation("GET", "/v2.1/os-simple-tenant-usage", policy="os_compute_api:os-simple-tenant-usage:list")
def list_usage(context: Context) -> dict[str, Any]:
    start, end = _period(context)
    detailed = context.request.query_params.get("detailed") == "1"
    projects: dict[str, list[Server]] = {}
    for server in _servers(context, start, end):
        projects.setdefault(server.project_id, []).append(server)
    usages = [_usage(project, rows, start, end, detailed=detailed) for project, rows in projects.items()]
    return {"tenant_usages": usages}


@router.operation(
    "GET", "/v2.1/os-simple-tenant-usage/{project_id}", policy=on_target("os_compute_api:os-simple-tenant-usage:show")
)
def show_usage(context: Context, project_id: str) -> dict[str, Any]:
    context.enforce("os_compute_api:os-simple-tenant-usage:show", {"project_id": project_id})
    start, end = _period(context)
    rows = _servers(context, start, end, project_id)
    return {"tenant_usage": _usage(project_id, rows, start, end, detailed=True) if rows else {}}


def _period(context: Context) -> tuple[datetime, datetime]:
    parameters = context.request.query_params
    now = utcnow()
    end = moment_parameter(parameters["end"], "end") if "end" in parameters else now
    start = moment_parameter(parameters["start"], "start") if "start" in parameters else now - timedelta(days=28)
    if start >= end:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return start, end


def _servers(context: Context, start: datetime, end: datetime, project_id: str | None = None) -> list[Server]:
    """Servers that ran at some moment of the period."""
    query = select(Server).where(Server.launched_at < end, or_(Server.deleted_at.is_(None), Server.deleted_at > start))
    if project_id is not None:
        query = query.where(Server.project_id == project_id)
    return list(context.db.scalars(query.order_by(Server.project_id, Server.created_at)))


def _usage(
    project_id: str, servers: Iterable[Server], start: datetime, end: datetime, *, detailed: bool
) -> dict[str, Any]:
    entries = [_server(server, start, end) for server in servers]
    view: dict[str, Any] = {
        "tenant_id": project_id,
        "start": start.isoformat(timespec="microseconds"),
        "stop": end.isoformat(timespec="microseconds"),
        "total_hours": sum(entry["hours"] for entry in entries),
        "total_vcpus_usage": sum(entry["hours"] * entry["vcpus"] for entry in entries),
        "total_memory_mb_usage": sum(entry["hours"] * entry["memory_mb"] for entry in entries),
        "total_local_gb_usage": sum(entry["hours"] * entry["local_gb"] for entry in entries),
    }
    return view | ({"server_usages": entries} if detailed else {})


def _server(server: Server, start: datetime, end: datetime) -> dict[str, Any]:
    launched = server.launched_at or start
    seconds = (min(server.deleted_at or end, end) - max(launched, start)).total_seconds()
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor["name"],
        "hours": max(seconds, 0) / 3600,
        "vcpus": server.vcpus,
        "memory_mb": server.ram_mib,
        "local_gb": server.disk_gib,
        "started_at": launched.isoformat(timespec="microseconds"),
        "ended_at": server.deleted_at.isoformat(timespec="microseconds") if server.deleted_at else None,
        "uptime": int((min(server.deleted_at or utcnow(), utcnow()) - launched).total_seconds()),
        "state": "terminated" if server.deleted_at else VM_STATES[server.status],
    }

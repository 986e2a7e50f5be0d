"""Usage of projects over a period. https://docs.openstack.org/api-ref/compute/#usage-reports-os-simple-tenant-usage"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import or_, select, true
from sqlalchemy.sql import ColumnElement

from skywright.db import utcnow
from skywright.http import BadRequest, Context, Router
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.listing import PAGING, moment_parameter, next_link, page, parameters
from skywright.services.compute.server_views import VM_STATES
from skywright.services.compute.tables import Server

router = Router()
PARAMETERS = PAGING | {"start", "end"}


@router.operation("GET", "/v2.1/os-simple-tenant-usage", policy="os_compute_api:os-simple-tenant-usage:list")
def list_usage(context: Context) -> dict[str, Any]:
    start, end = _period(context, PARAMETERS | {"detailed"})
    detailed = context.request.query_params.get("detailed") == "1"
    servers, marker = _servers(context, start, end, true())
    usages = [
        _usage(project, rows, start, end, detailed=detailed)
        for project, rows in groupby(servers, key=lambda server: server.project_id)
    ]
    return {"tenant_usages": usages} | next_link(context, "tenant_usages_links", marker)


@router.operation(
    "GET", "/v2.1/os-simple-tenant-usage/{project_id}", policy=on_target("os_compute_api:os-simple-tenant-usage:show")
)
def show_usage(context: Context, project_id: str) -> dict[str, Any]:
    context.enforce("os_compute_api:os-simple-tenant-usage:show", {"project_id": project_id})
    start, end = _period(context, PARAMETERS)
    servers, marker = _servers(context, start, end, Server.project_id == project_id)
    usage = _usage(project_id, servers, start, end, detailed=True) if servers else {}
    return {"tenant_usage": usage} | next_link(context, "tenant_usage_links", marker)


def _period(context: Context, known: frozenset[str]) -> tuple[datetime, datetime]:
    """Return the start and the end of the period. The future does not count."""
    wanted, now = parameters(context, known), utcnow()
    end = min(moment_parameter(wanted["end"], "end"), now) if "end" in wanted else now
    start = moment_parameter(wanted["start"], "start") if "start" in wanted else now - timedelta(days=28)
    if start >= end:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return start, end


def _servers(
    context: Context, start: datetime, end: datetime, scope: ColumnElement[bool]
) -> tuple[list[Server], str | None]:
    """Return servers that existed in the period, sorted by project, and the marker of the next page."""
    ran = Server.launched_at < end, or_(Server.deleted_at.is_(None), Server.deleted_at > start)
    servers = select(Server).where(scope)
    query, order = servers.where(*ran), [(Server.project_id, True), (Server.id, True)]
    if version_of(context) < 40:
        return list(context.db.scalars(query.order_by(Server.project_id, Server.id))), None
    return page(context, query, order, scope=servers, column=Server.id, marker_of=lambda server: str(server.id))


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

"""Instance actions: the jobs of a server."""

from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.sql import ColumnElement, Select

from skywright.db import isoformat
from skywright.db.jobs import Job, JobResource
from skywright.http import BadRequest, Context, NotFound, Router, fields
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.listing import PAGING, moment_parameter, next_link, page, parameters
from skywright.services.compute.server_states import find_server
from skywright.services.compute.server_views import host_id
from skywright.services.compute.tables import Server

router = Router()
EVENTS, EVENT_DETAILS = "os_compute_api:os-instance-actions:events", "os_compute_api:os-instance-actions:events:details"
RESULTS = {"successful": "Success", "failed": "Error", "error": "Error", "canceled": "Error"}
# The columns of `updated_at` and `request_id`.
_updated_at = func.coalesce(Job.finished_at, Job.started_at, Job.created_at)
_shown_id = func.coalesce(Job.request_id, literal("req-").concat(Job.id))


@router.operation(
    "GET", "/v2.1/servers/{server_id}/os-instance-actions", policy=on_target("os_compute_api:os-instance-actions:list")
)
def list_actions(context: Context, server_id: str) -> dict[str, Any]:
    server, version = _server(context, server_id), version_of(context)
    query, marker = _jobs(server), None
    if version < 58:
        jobs = list(context.db.scalars(query.order_by(Job.sequence.desc())))
    else:
        order, found = [(Job.sequence, False)], query.where(*_filters(context))
        jobs, marker = page(context, found, order, scope=query, column=_shown_id, marker_of=_request_id)
    return {"instanceActions": [_action(job, server, version) for job in jobs]} | next_link(context, "links", marker)


@router.operation(
    "GET",
    "/v2.1/servers/{server_id}/os-instance-actions/{request_id}",
    policy=on_target("os_compute_api:os-instance-actions:show", also=(EVENTS, EVENT_DETAILS)),
)
def show_action(context: Context, server_id: str, request_id: str) -> dict[str, Any]:
    server, version = _server(context, server_id), version_of(context)
    query = _jobs(server).where(_shown_id == request_id).order_by(Job.sequence.desc())
    found = list(context.db.scalars(query))
    if not found:
        raise NotFound(f"Action for request_id {request_id} on instance {server_id} not found")
    view = _action(found[0], server, version)
    if version >= 51 or context.allows(EVENTS):
        view["events"] = [_event(context, job, server) for job in found if job.started_at]
    return {"instanceAction": view}


def _server(context: Context, server_id: str) -> Server:
    """Return the server; since 2.21, also a deleted one."""
    if version_of(context) < 21:
        return find_server(context, server_id)
    row = context.db.get(Server, server_id)
    if row is None or not (context.is_admin or row.project_id == context.caller.project_id):
        raise NotFound.of("Instance", server_id)
    context.enforce(context.rules[0], {"project_id": row.project_id, "user_id": row.user_id})
    return row


def _jobs(server: Server) -> Select[Any]:
    """Return the query for the users' jobs of *server*."""
    return (
        select(Job)
        .join(JobResource, JobResource.job_sequence == Job.sequence)
        .where(JobResource.resource_type == "server", JobResource.resource_id == server.id)
        .where(Job.playbook == "server", Job.action.not_in(("cleanup", "replug", "tidy")))
    )


def _request_id(job: Job) -> str:
    """Return the id of the request that queued the job; without a request, an id that is made from the job's."""
    return job.request_id or f"req-{job.id}"


def _filters(context: Context) -> list[ColumnElement[bool]]:
    version = version_of(context)
    known = PAGING | {"changes-since"} | ({"changes-before"} if version >= 66 else set())
    wanted = parameters(context, known, closed=58)
    since, before = (
        moment_parameter(wanted[name], name) if name in wanted else None for name in ("changes-since", "changes-before")
    )
    if since and before and before < since:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    conditions = [_updated_at >= since] if since else []
    return conditions + ([_updated_at < fields.end_of(before)] if before else [])


def _action(job: Job, server: Server, version: int) -> dict[str, Any]:
    view = {
        "action": job.action,
        "instance_uuid": server.id,
        "request_id": _request_id(job),
        "user_id": job.user_id,
        "project_id": job.project_id,
        "start_time": _moment(job.created_at),
        "message": "Error" if RESULTS.get(job.state) == "Error" else None,
    }
    if version >= 58:
        view["updated_at"] = _moment(job.finished_at or job.started_at or job.created_at)
    return view


def _event(context: Context, job: Job, server: Server) -> dict[str, Any]:
    """Return the event of the job's run."""
    version = version_of(context)
    event: dict[str, Any] = {
        "event": f"compute_{job.action}_instance",
        "start_time": _moment(job.started_at),
        "finish_time": _moment(job.finished_at),
        "result": RESULTS.get(job.state),
    }
    if context.allows(EVENTS):
        event["traceback"] = job.error
    if version >= 62:
        event["hostId"] = host_id(server.project_id, server.host)
        if context.allows(EVENTS):
            event["host"] = server.host
    if version >= 84 and context.allows(EVENT_DETAILS):
        event["details"] = job.error
    return event


def _moment(value: Any) -> str | None:
    """Return the time in Nova's format: microseconds, no zone."""
    return (isoformat(value, micro=True) or "").removesuffix("Z") or None

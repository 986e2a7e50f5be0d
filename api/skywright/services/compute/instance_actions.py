"""What was done to a server: its jobs, as Nova's instance actions."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from skywright.db import isoformat
from skywright.db.jobs import Job, JobResource
from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.server_states import find_server
from skywright.services.compute.server_views import host_id
from skywright.services.compute.tables import Server
from skywright.services.compute.validation import moment_parameter, page_limit

router = Router()
EVENTS, EVENT_DETAILS = "os_compute_api:os-instance-actions:events", "os_compute_api:os-instance-actions:events:details"
RESULTS = {"successful": "Success", "failed": "Error", "error": "Error", "canceled": "Error"}


@router.operation(
    "GET", "/v2.1/servers/{server_id}/os-instance-actions", policy=on_target("os_compute_api:os-instance-actions:list")
)
def list_actions(context: Context, server_id: str) -> dict[str, Any]:
    server, version = _server(context, server_id), version_of(context)
    jobs = _jobs(context, server)
    links: dict[str, Any] = {}
    if version >= 58:
        jobs, links = _page(context, server, jobs)
    return {"instanceActions": [_action(job, server, version) for job in jobs]} | links


@router.operation(
    "GET",
    "/v2.1/servers/{server_id}/os-instance-actions/{request_id}",
    policy=on_target("os_compute_api:os-instance-actions:show", EVENTS, EVENT_DETAILS),
)
def show_action(context: Context, server_id: str, request_id: str) -> dict[str, Any]:
    server, version = _server(context, server_id), version_of(context)
    found = [job for job in _jobs(context, server) if job.request_id == request_id]
    if not found:
        raise NotFound(f"Action for request_id {request_id} on instance {server_id} not found")
    view = _action(found[0], server, version)
    if version >= 51 or context.allows(EVENTS):
        view["events"] = [_event(context, job, server) for job in found if job.started_at]
    return {"instanceAction": view}


def _server(context: Context, server_id: str) -> Server:
    """The server; since 2.21 a deleted one too."""
    if version_of(context) < 21:
        return find_server(context, server_id)
    row = context.db.get(Server, server_id)
    if row is None or not (context.is_admin or row.project_id == context.who.project_id):
        raise NotFound.of("Instance", server_id)
    context.enforce(context.rules[0], {"project_id": row.project_id, "user_id": row.user_id})
    return row


def _jobs(context: Context, server: Server) -> list[Job]:
    """The user's jobs of *server*, newest first."""
    query = (
        select(Job)
        .join(JobResource, JobResource.job_sequence == Job.sequence)
        .where(JobResource.resource_type == "server", JobResource.resource_id == server.id)
        .where(Job.playbook == "server", Job.action.not_in(("cleanup", "tidy")))
        .order_by(Job.sequence.desc())
    )
    return list(context.db.scalars(query))


def _page(context: Context, server: Server, jobs: list[Job]) -> tuple[list[Job], dict[str, Any]]:
    parameters = context.request.query_params
    if "changes-since" in parameters:
        since = moment_parameter(parameters["changes-since"], "changes-since")
        jobs = [job for job in jobs if (job.finished_at or job.created_at) >= since]
    if "changes-before" in parameters and version_of(context) >= 66:
        before = moment_parameter(parameters["changes-before"], "changes-before")
        jobs = [job for job in jobs if (job.finished_at or job.created_at) <= before]
    if marker := parameters.get("marker"):
        at = [index for index, job in enumerate(jobs) if job.request_id == marker]
        if not at:
            raise BadRequest(f"marker [{marker}] not found")
        jobs = jobs[at[0] + 1 :]
    limit = page_limit(parameters)
    if len(jobs) <= limit or limit == 0:
        return jobs[:limit], {}
    following = dict(parameters) | {"marker": str(jobs[limit - 1].request_id)}
    href = f"{context.base_url}/v2.1/servers/{server.id}/os-instance-actions?{urlencode(following)}"
    return jobs[:limit], {"links": [{"rel": "next", "href": href}]}


def _action(job: Job, server: Server, version: int) -> dict[str, Any]:
    view = {
        "action": job.action,
        "instance_uuid": server.id,
        "request_id": job.request_id,
        "user_id": job.user_id,
        "project_id": job.project_id,
        "start_time": _moment(job.created_at),
        "message": "Error" if RESULTS.get(job.state) == "Error" else None,
    }
    if version >= 58:
        view["updated_at"] = _moment(job.finished_at or job.started_at or job.created_at)
    return view


def _event(context: Context, job: Job, server: Server) -> dict[str, Any]:
    """The run that carried the job."""
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
    """Nova's form: microseconds, no zone."""
    return (isoformat(value, micro=True) or "").removesuffix("Z") or None

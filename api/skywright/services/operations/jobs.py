"""`/v1/jobs`: requested operations, their progress and their outcomes."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from skywright.core import DELETE
from skywright.db import after_commit, utcnow
from skywright.db.jobs import FINISHED, UNFINISHED, Event, Job, JobResource
from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.policy import on_target
from skywright.services.operations.listing import page
from skywright.services.operations.views import event_views, job_views, result_views, step_views

router = Router()


@router.operation("GET", "/jobs", policy=("operations:jobs:list", "operations:jobs:list_all"))
def list_jobs(
    context: Context,
    *,
    state: Annotated[list[str] | None, Query()] = None,
    resource: str | None = None,
    project_id: str | None = None,
    playbook: str | None = None,
) -> dict[str, Any]:
    """List jobs, newest first."""
    query = select(Job)
    if not context.allows("operations:jobs:list_all"):
        query = query.where(Job.project_id == context.project_id)
    scope = query
    if project_id is not None:
        query = query.where(Job.project_id == project_id)
    if state:
        query = query.where(Job.state.in_(_states(state)))
    if playbook is not None:
        query = query.where(Job.playbook == playbook)
    if resource is not None:
        query = _of_resource(query, resource)
    jobs, links = page(context, query, [(Job.sequence, False)], scope=scope, column=Job.id, default=100)
    return {"jobs": job_views(context.db, jobs, admin=context.is_admin)} | links


@router.operation("GET", "/jobs/{job_id}", policy="operations:jobs:show")
def show_job(context: Context, job_id: str) -> dict[str, Any]:
    job = visible_job(context, job_id)
    return {"job": describe(context.db, job, admin=context.is_admin)}


@router.operation("POST", "/jobs/{job_id}/cancel", policy=on_target("operations:jobs:cancel"), status=202)
def cancel_job(context: Context, job_id: str) -> dict[str, Any]:
    """Cancel the job: a queued one ends at once, a running one when its processes are dead."""
    job = visible_job(context, job_id)
    context.enforce("operations:jobs:cancel", {"project_id": job.project_id})
    if job.state not in UNFINISHED:
        raise Conflict(f"Job {job_id} has ended already: {job.state}.")
    if job.action == DELETE and job.attempts:
        raise Conflict(f"Job {job_id} deletes, and has begun: it cannot be canceled any more.")
    job.cancel_requested_at = job.cancel_requested_at or utcnow()
    after_commit(context.db, "notify workers", context.cloud.queue.notify_all)  # the worker of the job
    return {"job": job_views(context.db, [job], admin=context.is_admin)[0]}


@router.operation("POST", "/jobs/{job_id}/force", policy="operations:jobs:force", status=202)
def force_job(context: Context, job_id: str) -> dict[str, Any]:
    """Let a job run although its host is in maintenance or unreachable."""
    job = visible_job(context, job_id)
    if job.state != "queued":
        raise Conflict(f"Job {job_id} does not wait: it is {job.state}.")
    job.forced, job.not_before, job.held_by, job.waiting_for = True, None, None, None
    after_commit(context.db, "notify workers", context.cloud.queue.notify)
    return {"job": job_views(context.db, [job], admin=context.is_admin)[0]}


class JobChange(BaseModel):
    """The properties of a job that operators set."""

    model_config = ConfigDict(extra="forbid", strict=True)
    priority: int = Field(ge=-100, le=100)


class JobChangeBody(Strict):
    job: JobChange


@router.operation("PATCH", "/jobs/{job_id}", policy="operations:jobs:update")
def update_job(context: Context, job_id: str, body: JobChangeBody) -> dict[str, Any]:
    """Set the priority of a queued job, and of the earlier jobs of its resources that it waits for."""
    job = visible_job(context, job_id)
    if job.state != "queued":
        raise Conflict(f"Job {job_id} does not wait: it is {job.state}.")
    job.priority = body.job.priority
    after_commit(context.db, "notify workers", context.cloud.queue.notify)
    return {"job": job_views(context.db, [job], admin=context.is_admin)[0]}


def visible_job(context: Context, job_id: str) -> Job:
    """Return the job if it is the caller's project's or the caller is an administrator; raise NotFound otherwise."""
    job = context.db.scalar(select(Job).where(Job.id == job_id))
    if job is None or not (context.is_admin or (job.project_id and job.project_id == context.caller.project_id)):
        raise NotFound.of("Job", job_id)
    return job


def describe(session: Session, job: Job, *, admin: bool) -> dict[str, Any]:
    """Return the job with its steps and events."""
    events = session.scalars(select(Event).where(Event.run_id == job.run_id).order_by(Event.counter)).all()
    view = job_views(session, [job], admin=admin)[0]
    return {
        **view,
        "results": result_views(job, admin=admin),
        "steps": step_views(events),
        "events": list(event_views([job], events, admin=admin)),
    }


def _states(values: Iterable[str]) -> list[str]:
    """Return the states in *values*, such as `queued,running`; raise BadRequest for unknown ones."""
    names = [name for value in values for name in value.split(",")]
    for name in names:
        if name not in (*UNFINISHED, *FINISHED):
            raise BadRequest(f"Invalid input for state: '{name[:64]}' is not one of {[*UNFINISHED, *FINISHED]}.")
    return names


def _of_resource(query: Select[Job], resource: str) -> Select[Job]:
    """Match *resource*: an id, or `type:id`."""
    kind, _, key = resource.rpartition(":")
    jobs = select(JobResource.job_sequence).where(JobResource.resource_id == key)
    if kind:
        jobs = jobs.where(JobResource.resource_type == kind)
    return query.where(Job.sequence.in_(jobs))

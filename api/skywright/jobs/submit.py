"""Queueing jobs: in the transaction that changes the resource, so that neither exists without the other."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from skywright.db import after_commit
from skywright.db.jobs import Job, JobResource
from skywright.jobs.queue import Queue

if TYPE_CHECKING:
    from skywright.http.context import Context

QUEUED = "queued_jobs"  # in a session's info: the jobs that its transaction queues, for the audit trail


def submit(
    context: "Context",
    playbook: str,
    action: str,
    resources: Iterable[tuple[str, str]],
    arguments: dict[str, Any] | None = None,
) -> Job:
    """Queue a run of `playbooks/cloud/<playbook>.yml` that does *action* to *resources* [(type, id)]."""
    job = enqueue(context.db, context.cloud.queue, playbook, action, resources, arguments)
    job.project_id, job.user_id = context.who.project_id, context.who.user_id
    job.request_id = context.request_id
    return job


def enqueue(  # noqa: PLR0917 - as submit(), with what a context would bring
    session: Session,
    queue: Queue,
    playbook: str,
    action: str,
    resources: Iterable[tuple[str, str]],
    arguments: dict[str, Any] | None = None,
) -> Job:
    """Queue a job that nobody asked for: a periodic one."""
    job = Job(
        playbook=playbook,
        action=action,
        arguments=arguments or {},
        resources=[JobResource(resource_type=kind, resource_id=key) for kind, key in resources],
    )
    session.add(job)
    session.info.setdefault(QUEUED, []).append(job)
    after_commit(session, "notify workers", queue.notify)
    return job

"""Submitting jobs, in the transaction that changes the resource, so that both are committed together."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy.orm import Session

from skywright.auth.credentials import Credentials
from skywright.backoff import Backoff
from skywright.core import Core
from skywright.db import after_commit, utcnow
from skywright.db.jobs import Job, JobResource
from skywright.queue.local import Queue

RETRY = Backoff(timedelta(seconds=30), timedelta(hours=1))
QUEUED = "queued_jobs"  # key in a session's info: the jobs that its transaction queues, for the audit trail


class Request(Protocol):
    """A user's request: its transaction, and its credentials."""

    @property
    def db(self) -> Session: ...
    @property
    def core(self) -> Core: ...
    @property
    def caller(self) -> Credentials: ...
    @property
    def request_id(self) -> str: ...


def submit(
    request: Request,
    playbook: str,
    action: str,
    resources: Iterable[tuple[str, str]],
    arguments: dict[str, Any] | None = None,
) -> Job:
    """Queue a job of the kind *playbook* that does *action* to *resources* [(type, id)]."""
    job = enqueue(request.db, request.core.queue, playbook, action, resources, arguments)
    job.project_id, job.user_id = request.caller.project_id, request.caller.user_id
    job.request_id = request.request_id
    return job


def enqueue(  # noqa: PLR0917 - as submit(), with what a context would bring
    session: Session,
    queue: Queue,
    playbook: str,
    action: str,
    resources: Iterable[tuple[str, str]],
    arguments: dict[str, Any] | None = None,
) -> Job:
    """Queue a job that no user requested, such as a periodic one."""
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


def enqueue_retry(  # noqa: PLR0917 - as enqueue()
    session: Session,
    queue: Queue,
    playbook: str,
    action: str,
    resources: Iterable[tuple[str, str]],
    arguments: dict[str, Any],
) -> Job:
    """Queue another attempt of a job that users cannot repeat, with growing pauses; `attempt` in *arguments* counts
    them.
    """
    earlier = int(arguments.get("attempt", 0))
    job = enqueue(session, queue, playbook, action, resources, arguments | {"attempt": earlier + 1})
    job.not_before = utcnow() + RETRY.pause(earlier)
    return job

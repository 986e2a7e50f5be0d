"""Settling: the state of a job and the status of its resources change in one transaction, once per attempt."""

import logging
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.orm import Session

from skywright.core import CREATE, DELETE, Core, Outcome
from skywright.db.base import after_commit, utcnow
from skywright.db.jobs import Job
from skywright.db.mariadb import ended_transaction
from skywright.jobs.engine.events import brief
from skywright.jobs.webhooks import announce

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
BACK_OFF = timedelta(seconds=2)
CANCELED = "The job was canceled"


def settle(session: Session, core: Core, job: Job, outcome: Outcome, state: str | None = None) -> None:
    """End *job* with *outcome*. *state* is set if the job is neither successful nor failed."""
    if job.undoing:
        left = "" if outcome.ok else f"; the changes are not undone yet: {outcome.error}"
        outcome, state = replace(outcome, error=CANCELED + left, canceled=True), "canceled"
    job.state = state or ("successful" if outcome.ok else "failed")
    job.error = outcome.error
    job.result = {"items": brief(outcome.results, "host", "module")}
    job.finished_at = utcnow()
    job.waiting_for = job.waiting_since = job.lease_until = job.not_before = None
    try:
        with session.begin_nested():
            core.kind_of(job.playbook).settle(session, job, outcome, core)
    except Exception as error:
        if ended_transaction(error):
            raise  # the whole transaction is repeated
        log.exception("job %s: its outcome cannot be applied", job.id)
        job.state, job.error = "error", f"{outcome.error or 'The run was successful'}; applying that failed: {error}"
    announce.announce(session, job)
    log.info(
        "job %s %s %s: %s",
        job.id,
        job.playbook,
        job.action,
        job.state,
        extra={"job": job.id, "request": job.request_id},
    )


def requeue(session: Session, core: Core, job: Job, reason: str, *, counted: bool = True) -> None:
    """Queue *job* again, or end it with *reason* after too many attempts. *counted*: whether this attempt counts."""
    if job.cancel_requested_at is not None and not job.undoing:
        cancel(session, core, job)
        return
    if counted and job.attempts - job.put_off >= MAX_ATTEMPTS:
        error = f"{reason}; given up after {job.attempts} attempts"
        settle(session, core, job, Outcome(ok=False, error=error), "error")
        return
    fields = {"job": job.id, "request": job.request_id}
    log.warning("job %s is queued again: %s", job.id, reason, extra=fields)
    back_to_queue(job)
    if counted:
        # Processes of a killed run may need some time to end on its hosts.
        job.not_before = utcnow() + BACK_OFF * job.attempts
        job.waiting_for = f"another attempt: {reason}"


def cancel(session: Session, core: Core, job: Job, left: str = "") -> None:
    """End *job*, which was canceled and whose run has ended. A job that made something first undoes it.

    It does so at its own place in the queue, before any other job of its resources. *left* says which processes of the
    run could not be ended.
    """
    if job.action == DELETE and job.attempts > 0:
        job.cancel_requested_at = None
        requeue(session, core, job, "It cannot be canceled any more", counted=False)
        return
    if job.action != CREATE or job.attempts == 0:
        error = "; ".join(filter(None, (CANCELED, left)))
        settle(session, core, job, Outcome(ok=False, error=error, canceled=True), "canceled")
        return
    job.undoing = True
    back_to_queue(job)
    job.not_before = job.held_by = None
    job.waiting_for = "a worker, to undo its changes"
    after_commit(session, "notify workers", core.queue.notify)


def back_to_queue(job: Job) -> None:
    """Return *job* from its worker to the queue."""
    job.state, job.worker, job.lease_until, job.run_id = "queued", None, None, None
    job.waiting_since, job.waiting_for = utcnow(), None

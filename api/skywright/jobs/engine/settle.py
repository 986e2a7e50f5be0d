"""Ending jobs: the job's state and its resources' status change in one transaction, once per attempt."""

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
    """End *job* with *outcome*; *state* when it is neither successful nor failed."""
    if job.undoing:
        left = "" if outcome.ok else f"; what it made is not removed yet: {outcome.error}"
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
            raise  # the whole transaction is done again
        log.exception("job %s: its outcome cannot be applied", job.id)
        job.state, job.error = "error", f"{outcome.error or 'The run ended well'}; applying that failed: {error}"
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
    """Let *job* run again, or give up with *reason* after too many attempts; *counted*: the attempt was its own."""
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
        # What a run that was killed left on its hosts may still be ending.
        job.not_before = utcnow() + BACK_OFF * job.attempts
        job.waiting_for = f"another attempt: {reason}"


def cancel(session: Session, core: Core, job: Job, left: str = "") -> None:
    """End *job*, whose run is over, for someone wants that; one that made something first takes that back.

    It does so in its own place of the queue: nothing else happens to its resources before. *left* says what of the run
    could not be ended.
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
    job.waiting_for = "a worker, to take back what it made"
    after_commit(session, "notify workers", core.queue.notify)


def back_to_queue(job: Job) -> None:
    """Take *job* from its worker."""
    job.state, job.worker, job.lease_until, job.run_id = "queued", None, None, None
    job.waiting_since, job.waiting_for = utcnow(), None

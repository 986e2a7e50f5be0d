"""Claiming: selects the queued jobs that run next, in one write transaction.

Jobs of one playbook that can run are claimed together, because their common run costs little more than the run of one
job. See `selection`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome, Work
from skywright.db.base import utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs.engine import host_state
from skywright.jobs.engine.host_state import render_available, unclaim
from skywright.jobs.engine.leases import lease_end
from skywright.jobs.engine.rendering import RunHost, inventory_of, render
from skywright.jobs.engine.selection import Selection, choose
from skywright.jobs.engine.settle import cancel, settle


@dataclass(frozen=True)
class Claim:
    """Jobs that this worker has claimed, and the run that they need. Without hosts, no run is needed."""

    run_id: str
    playbook: str
    attempts: dict[str, int]  # by job id; proves later that the job is still claimed by this worker
    work: Work
    hosts: list[RunHost]
    unended: dict[str, list[str]]  # {host: earlier runs that may still have processes there}


def claim(session: Session, core: Core, worker: str, run_id: str, selection: Selection | None = None) -> Claim | None:
    """Claim the next jobs. Return None if no job can run."""
    _settle_canceled(session, core)
    session.flush()
    jobs = choose(session, core, selection or Selection())
    if not jobs:
        return None
    now = utcnow()
    playbook = core.playbook_of(jobs[0].playbook)
    run = Run(id=run_id, playbook=playbook, worker=worker)
    run.steps_total = session.scalar(_last_steps(playbook)) or 0
    session.add(run)
    session.flush()
    for job in jobs:
        job.state, job.worker, job.run_id = "running", worker, run_id
        job.attempts += 1
        job.lease_until, job.started_at = lease_end(core), job.started_at or now
        job.waiting_for = job.waiting_since = job.not_before = None
    session.flush()
    jobs, work = render_available(session, core, jobs, partial(render, session, core))
    jobs = _postpone(jobs, work)
    attempts = _settle_unrunnable(session, core, jobs, work)
    hosts = inventory_of(session, work) if attempts else []
    run.hosts = [name for name, _, _ in hosts]
    if not jobs:
        session.delete(run)
    elif not hosts:
        run.state, run.finished_at = "successful", now
    return Claim(run_id, playbook, attempts, work, hosts, host_state.unended_runs(session, run.hosts))


def _settle_canceled(session: Session, core: Core) -> None:
    canceled_jobs = select(Job).where(Job.state == "queued", Job.cancel_requested_at.is_not(None), ~Job.undoing)
    for job in session.scalars(canceled_jobs.order_by(Job.sequence)).all():
        cancel(session, core, job)


def _last_steps(playbook: str) -> Any:
    last = Run.state.in_(("successful", "failed"))
    return select(Run.steps_done).where(Run.playbook == playbook, last).order_by(Run.started_at.desc()).limit(1)


def _postpone(jobs: Sequence[Job], work: Work) -> list[Job]:
    """Return the jobs that cannot share the run to the queue; return the others."""
    for job in jobs:
        if job.id in work.postponed:
            unclaim(job)
            job.waiting_for = work.postponed[job.id]
    return [job for job in jobs if job.id not in work.postponed]


def _settle_unrunnable(session: Session, core: Core, jobs: Sequence[Job], work: Work) -> dict[str, int]:
    """End the jobs that need no run or cannot have one; return the attempts of the others, by job id."""
    attempts = {}
    for job in jobs:
        job.items = sorted(map(list, work.depends.get(job.id, ())))
        if job.id in work.refused:
            refused = Outcome(ok=False, error=work.refused[job.id], unreachable=job.id in work.unreachable)
            settle(session, core, job, refused)
        elif not job.items:
            settle(session, core, job, Outcome(ok=True))
        else:
            attempts[job.id] = job.attempts
    return attempts


def still_claimed(session: Session, attempts: dict[str, int]) -> list[Job]:
    """Return the claimed jobs that were not claimed by another worker since."""
    found = session.scalars(select(Job).where(Job.id.in_(attempts), Job.state == "running"))
    return [job for job in found if job.attempts == attempts[job.id]]

"""Claiming: which queued jobs run next, decided in one write transaction.

Jobs of one playbook that may run are taken together: their run costs little more than one job's. Which, says `turns`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.db.mariadb import lost
from skywright.jobs.hosts import render_open
from skywright.jobs.leases import until
from skywright.jobs.playbooks import Outcome, Work, registry
from skywright.jobs.settle import cancel, settle
from skywright.jobs.turns import Turns, choose
from skywright.jobs.variables import reserved_key

if TYPE_CHECKING:
    from skywright.cloud import Cloud

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """Jobs that are this worker's now, and the run that they need; no hosts: nothing is left to run."""

    run_id: str
    playbook: str
    attempts: dict[str, int]  # by job id: what proves later that the job is still ours
    work: Work
    hosts: list[tuple[str, list[str], dict[str, Any]]]


def claim(session: Session, cloud: "Cloud", worker: str, run_id: str, turns: Turns | None = None) -> Claim | None:
    """Take the next jobs; None when there are none that may run."""
    _settle_canceled(session, cloud)
    session.flush()
    jobs = choose(session, turns or Turns())
    if not jobs:
        return None
    now = utcnow()
    playbook = jobs[0].playbook
    run = Run(id=run_id, playbook=playbook, worker=worker)
    run.steps_total = session.scalar(_last_steps(playbook)) or 0
    session.add(run)
    session.flush()
    for job in jobs:
        job.state, job.worker, job.run_id = "running", worker, run_id
        job.attempts += 1
        job.lease_until, job.started_at = until(cloud), job.started_at or now
        job.waiting_for = job.waiting_since = job.not_before = None
    session.flush()
    jobs, work = render_open(session, cloud, jobs, partial(render, session, cloud))
    attempts = _settle_unrunnable(session, cloud, jobs, work)
    hosts = inventory_of(session, work) if attempts else []
    run.hosts = [name for name, _, _ in hosts]
    if not jobs:
        session.delete(run)
    elif not hosts:
        run.state, run.finished_at = "successful", now
    return Claim(run_id, playbook, attempts, work, hosts)


def _settle_canceled(session: Session, cloud: "Cloud") -> None:
    canceled_jobs = select(Job).where(Job.state == "queued", Job.cancel_requested_at.is_not(None), ~Job.undoing)
    for job in session.scalars(canceled_jobs.order_by(Job.sequence)).all():
        cancel(session, cloud, job)


def _last_steps(playbook: str) -> Any:
    last = Run.state.in_(("successful", "failed"))
    return select(Run.steps_done).where(Run.playbook == playbook, last).order_by(Run.started_at.desc()).limit(1)


def render(session: Session, cloud: "Cloud", jobs: Sequence[Job]) -> Work:
    """The work of *jobs*; one that cannot be rendered must not keep the others from running."""
    try:
        return _render_together(session, cloud, jobs)
    except Exception as error:
        if lost(error):
            raise
        log.exception("rendering %d jobs together failed: each alone", len(jobs))
    broken = {}
    for job in jobs:
        try:
            with session.begin_nested() as savepoint:
                registry()[job.playbook].render(session, [job], cloud)
                savepoint.rollback()
        except Exception as error:
            if lost(error):
                raise
            log.exception("job %s cannot be rendered", job.id)
            broken[job.id] = f"The job cannot be prepared: {error}"
    rest = [job for job in jobs if job.id not in broken]
    work = _render_together(session, cloud, rest) if rest else Work()
    work.refused.update(broken)
    return work


def _render_together(session: Session, cloud: "Cloud", jobs: Sequence[Job]) -> Work:
    with session.begin_nested():
        work = registry()[jobs[0].playbook].render(session, jobs, cloud)
    _refuse_reserved_keys(work)
    _refuse_unknownhosts_of(session, work)
    return work


def _refuse_reserved_keys(work: Work) -> None:
    """One user's item must not make Ansible refuse those of all others."""
    for host, kinds in work.items.items():
        for kind, items in kinds.items():
            bad = {item["id"]: key for item in items if (key := reserved_key(item))}
            if not bad:
                continue
            kinds[kind] = [item for item in items if item["id"] not in bad]
            for job_id, depends in work.depends.items():
                for item_id, key in bad.items():
                    if (host, item_id) in depends:
                        work.refused[job_id] = f"The name {key!r} is reserved: it cannot be used on a host."


def _refuse_unknownhosts_of(session: Session, work: Work) -> None:
    known = {host.name for host in hosts_of(session, work)}
    for job_id, depends in work.depends.items():
        if unknown := {host for host, _ in depends} - known:
            work.refused[job_id] = f"No such host is registered: {', '.join(sorted(unknown))}"


def _settle_unrunnable(session: Session, cloud: "Cloud", jobs: Sequence[Job], work: Work) -> dict[str, int]:
    """End the jobs that need no run or cannot have one; the attempts of the others."""
    attempts = {}
    for job in jobs:
        job.items = sorted(map(list, work.depends.get(job.id, ())))
        if job.id in work.refused:
            refused = Outcome(ok=False, error=work.refused[job.id], silent=job.id in work.silent)
            settle(session, cloud, job, refused)
        elif not job.items:
            settle(session, cloud, job, Outcome(ok=True))
        else:
            attempts[job.id] = job.attempts
    return attempts


def hosts_of(session: Session, work: Work) -> Sequence[Host]:
    return session.scalars(select(Host).where(Host.name.in_(work.items)).order_by(Host.name)).all()


def inventory_of(session: Session, work: Work) -> list[tuple[str, list[str], dict[str, Any]]]:
    """The run's hosts with their groups and variables."""
    found = []
    for host in hosts_of(session, work):
        groups, variables = work.inventory.get(host.name, (host.groups, {}))
        found.append((host.name, list(groups), {**host.variables, **variables}))
    return found


def jobs_of(session: Session, attempts: dict[str, int]) -> list[Job]:
    """Those of the claimed jobs that are still ours: nobody took them over since."""
    found = session.scalars(select(Job).where(Job.id.in_(attempts), Job.state == "running"))
    return [job for job in found if job.attempts == attempts[job.id]]

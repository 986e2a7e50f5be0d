"""Hosts that are unreachable or in maintenance: their state, and the jobs that wait for them.

The pauses between attempts to reach a host grow. After several failures in a row the host is quarantined: jobs do not
use it, and only the periodic observation tries to reach it. The first answer ends the quarantine, and the waiting jobs
run.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from skywright.backoff import Backoff
from skywright.core import Core, Work
from skywright.db import after_commit, isoformat, utcnow
from skywright.db.jobs import MAINTENANCE, Host, Job
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import back_to_queue
from skywright.jobs.kinds import resource_kinds

log = logging.getLogger(__name__)

RETRY = Backoff(timedelta(seconds=10), timedelta(minutes=10))
# How often a job looks again, at the latest: a notification may come before the job waits.
RECHECK = timedelta(minutes=1)
# OpenSSH's messages about a changed host key. Such a host is quarantined after the first failure.
HOST_KEY_CHANGED = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")


@dataclass(frozen=True)
class Hold:
    """Why jobs do not use a host, and when they look again."""

    host: str
    reason: str
    until: datetime
    unreachable: bool


def record_reachability(session: Session, core: Core, results: Results, since: datetime) -> None:
    """Record which hosts answered in a run that began at *since*, and which did not.

    Runs of a host may overlap: a host that another run observed since then is not down.
    """
    silent = {} if results.broken else results.unreachable
    for host in session.scalars(select(Host).where(Host.name.in_(results.answered | silent.keys()))):
        if host.name in silent:
            if not host.observed_since(since):
                _failed(core, host, silent[host.name])
        elif host.failed_at is None or host.failed_at < since:
            _answered(session, core, host)


def _failed(core: Core, host: Host, reason: str) -> None:
    now = utcnow()
    host.up, host.failed_at, host.unreachable = False, now, reason
    # A host in maintenance may be switched off. One outage counts once, however many runs notice it.
    if host.state == MAINTENANCE or (host.retry_at is not None and now < host.retry_at):
        return
    host.failures += 1
    host.retry_at = now + RETRY.pause(host.failures - 1)
    key_changed = any(words in reason for words in HOST_KEY_CHANGED)
    if host.quarantined_at is None and (key_changed or host.failures >= core.settings.quarantine_failures):
        host.quarantined_at = now
        log.error("host %s is quarantined after %d failures: %s", host.name, host.failures, reason)


def _answered(session: Session, core: Core, host: Host) -> None:
    back = not host.up or host.retry_at is not None
    if host.quarantined_at is not None:
        log.warning("host %s answers: its quarantine is over", host.name)
    host.up = True
    _clear_failures(host)
    if back and host.state != MAINTENANCE:
        reopen(session, core, host)


def _clear_failures(host: Host) -> None:
    host.failures = 0
    host.failed_at = host.unreachable = host.retry_at = host.quarantined_at = None


def unended_runs(session: Session, hosts: Iterable[str]) -> dict[str, list[str]]:
    """Return {host: runs}: the runs that ended but may still have processes on these *hosts*."""
    rows = session.execute(select(Host.name, Host.unended_runs).where(Host.name.in_(hosts)))
    return {name: runs for name, runs in rows if runs}


def record_unended(
    session: Session, run_id: str, left: Iterable[str], ended: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Record that the ended run may have processes on the hosts *left*, and that the runs in *ended* {host: runs} have
    none.
    """
    left, ended = set(left), ended or {}
    for host in session.scalars(select(Host).where(Host.name.in_(left | ended.keys()))):
        remaining = [run for run in host.unended_runs if run not in ended.get(host.name, ())]
        host.unended_runs = [*remaining, run_id] if host.name in left else remaining


def set_state(session: Session, core: Core, host: Host, state: str, reason: str | None = None) -> None:
    """Set the state of *host*, as an operator requests it. `enabled` also ends its quarantine."""
    was_closed = host.is_closed
    host.state, host.disabled_reason = state, None if state == "enabled" else reason
    if state == "enabled":
        _clear_failures(host)
    if was_closed and not host.is_closed:
        reopen(session, core, host)


def reopen(session: Session, core: Core, host: Host) -> None:
    """Let jobs use *host* again: queue the updates that it missed, and release the jobs that wait for it."""
    release(session, core, host.name)
    for kind in resource_kinds(core).values():
        kind.host_returned(session, host, core)


def release(session: Session, core: Core, host: str) -> None:
    """Release the jobs that wait for *host*."""
    waiting = update(Job).where(Job.state == "queued", Job.held_by == host)
    session.execute(waiting.values(held_by=None, not_before=None, waiting_for=None))
    after_commit(session, "notify workers", core.queue.notify)


def current_holds(session: Session) -> dict[str, Hold]:
    """Return the hosts that jobs must not use at the moment, by name."""
    now = utcnow()
    found = {}
    for host in session.scalars(select(Host).where(or_(Host.state == MAINTENANCE, Host.retry_at.is_not(None)))):
        if host.state == MAINTENANCE:
            found[host.name] = Hold(host.name, f"host {host.name} is in maintenance", now + RECHECK, unreachable=False)
        elif hold := _unreachable(host, now):
            found[host.name] = hold
    return found


def _unreachable(host: Host, now: datetime) -> Hold | None:
    """Return None if a job may try to reach the host. Only the observation tries to reach a quarantined host."""
    if host.retry_at is None or (host.retry_at <= now and host.quarantined_at is None):
        return None
    reason = f"{host.name} is unreachable; retry at {isoformat(host.retry_at)}"
    return Hold(host.name, reason, host.retry_at if host.retry_at > now else now + RECHECK, unreachable=True)


def render_available(
    session: Session, core: Core, jobs: Sequence[Job], render: Callable[[Sequence[Job]], Work]
) -> tuple[list[Job], Work]:
    """Render the *jobs* whose hosts may be used. The others wait, or are refused."""
    holds = current_holds(session)
    if not holds:
        return list(jobs), render(jobs)
    left, refused, silent, waiting = list(jobs), {}, set(), list[tuple[Job, Hold]]()
    while left:
        with session.begin_nested() as savepoint:
            work = render(left)
            stuck = [(job, hold) for job in left if (hold := find_hold(core, job, work, holds))]
            if stuck:
                savepoint.rollback()  # the decisions were made for all jobs together
        if not stuck:
            break
        for job, hold in stuck:
            if hold.unreachable and (job.id in work.fail_fast or _expired(core, job)):
                refused[job.id] = _unreachable_error(session, hold)
                silent.add(job.id)
            else:
                waiting.append((job, hold))
        left = [job for job in left if all(job is not other for other, _ in stuck)]
    work = work if left else Work()
    for job, hold in waiting:
        _keep_waiting(job, hold)
    drop_unneeded_hosts(work, holds)
    work.refused.update(refused)
    work.unreachable |= silent
    return [job for job in jobs if job.state == "running"], work


def find_hold(core: Core, job: Job, work: Work, holds: dict[str, Hold]) -> Hold | None:
    """Return what prevents *job* from running. Maintenance comes first, because it is an operator's decision."""
    kind = core.kind_of(job.playbook)
    if job.forced or kind.probing or job.id in work.refused:
        return None
    found = [holds[host] for host in {host for host, _ in work.depends.get(job.id, ())} & holds.keys()]
    if kind.read_only:  # it changes nothing, so maintenance does not matter
        found = [hold for hold in found if hold.unreachable]
    return min(found, key=lambda hold: (hold.unreachable, hold.host), default=None)


def drop_unneeded_hosts(work: Work, holds: dict[str, Hold]) -> None:
    """Remove the hosts that no job depends on from the run. They get the missed updates when they are back."""
    needed = {host for depends in work.depends.values() for host, _ in depends}
    for name in holds.keys() - needed:
        work.items.pop(name, None)


def postpone(session: Session, core: Core, job: Job, work: Work, results: Results) -> bool:
    """Return *job* to the queue if only unreachable hosts prevented its success and it may have another attempt.

    Returns whether it was returned.
    """
    silent = results.blocking_unreachable(work.depends[job.id])
    final = core.kind_of(job.playbook).probing or job.id in work.fail_fast or job.cancel_requested_at is not None
    if not silent or final or _expired(core, job):
        return False
    chosen = work.scheduled.get(job.id)
    if chosen in silent and chosen not in results.answered:
        # Nothing was done on this host: the scheduler may choose another one.
        job.arguments = {**job.arguments, "avoid": chosen}
        hold = None
    else:
        host = session.scalars(select(Host).where(Host.name.in_(silent)).order_by(Host.name)).first()
        hold = _unreachable(host, utcnow()) if host is not None else None
    job.put_off += 1
    back_to_queue(job)
    job.waiting_since = job.held_since = job.held_since or utcnow()
    if hold is not None:
        _wait(job, hold)
    return True


def _keep_waiting(job: Job, hold: Hold) -> None:
    unclaim(job)
    job.waiting_since = job.held_since = job.held_since or utcnow()
    _wait(job, hold)


def unclaim(job: Job) -> None:
    """Return a claimed job to the queue, as if it had not been claimed."""
    back_to_queue(job)
    job.attempts -= 1
    if job.attempts == 0:
        job.started_at = None


def _wait(job: Job, hold: Hold) -> None:
    job.held_by, job.waiting_for, job.not_before = hold.host, hold.reason, hold.until


def _expired(core: Core, job: Job) -> bool:
    """Return whether *job* has waited too long. Jobs that no user requested, such as cleanups, wait without limit."""
    limit = timedelta(seconds=core.settings.unreachable_seconds)
    return job.user_id is not None and job.held_since is not None and utcnow() - job.held_since >= limit


def _unreachable_error(session: Session, hold: Hold) -> str:
    host = session.get_one(Host, hold.host)
    return f"{host.name} is unreachable: {host.unreachable}"

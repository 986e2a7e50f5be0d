"""Hosts that do not answer or are in maintenance: what is known of them, and which jobs wait for them.

A host that does not answer is tried again later and later. After some failures in a row it is quarantined: jobs leave
it alone, and only the observer still tries it. The first answer ends all that, and the jobs that waited run.
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
# A word about a host may come before its time; no job waits longer than this without looking again.
RECHECK = timedelta(minutes=1)
# What OpenSSH says of a host that is not the one it was: it is not tried a second time.
STRANGER = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")


@dataclass(frozen=True)
class Hold:
    """Why jobs keep off a host, and when they look again."""

    host: str
    reason: str
    until: datetime
    unreachable: bool


def note(session: Session, core: Core, results: Results, since: datetime) -> None:
    """Take in which hosts answered in a run that began at *since*, and which did not."""
    silent = {} if results.broken else results.unreachable
    for host in session.scalars(select(Host).where(Host.name.in_(results.answered | silent.keys()))):
        if host.name in silent:
            _failed(core, host, silent[host.name])
        elif host.failed_at is None or host.failed_at < since:
            _answered(session, core, host)


def _failed(core: Core, host: Host, reason: str) -> None:
    now = utcnow()
    host.up, host.failed_at, host.unreachable = False, now, reason
    # Whoever maintains a host may switch it off; and one outage counts once, however many runs see it.
    if host.state == MAINTENANCE or (host.retry_at is not None and now < host.retry_at):
        return
    host.failures += 1
    host.retry_at = now + RETRY.pause(host.failures - 1)
    stranger = any(words in reason for words in STRANGER)
    if host.quarantined_at is None and (stranger or host.failures >= core.settings.quarantine_failures):
        host.quarantined_at = now
        log.error("host %s is quarantined after %d failures: %s", host.name, host.failures, reason)


def _answered(session: Session, core: Core, host: Host) -> None:
    back = not host.up or host.retry_at is not None
    if host.quarantined_at is not None:
        log.warning("host %s answers: its quarantine is over", host.name)
    host.up = True
    _forgive(host)
    if back and host.state != MAINTENANCE:
        welcome_back(session, core, host)


def _forgive(host: Host) -> None:
    host.failures = 0
    host.failed_at = host.unreachable = host.retry_at = host.quarantined_at = None


def unended(session: Session, hosts: Iterable[str]) -> dict[str, list[str]]:
    """{host: runs that are over but may have processes there still}, of the *hosts* that have such."""
    rows = session.execute(select(Host.name, Host.unended_runs).where(Host.name.in_(hosts)))
    return {name: runs for name, runs in rows if runs}


def note_unended(
    session: Session, run_id: str, left: Iterable[str], ended: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Remember that the run, which is over, may have processes on the hosts *left*; forget *ended* {host: runs}."""
    left, ended = set(left), ended or {}
    for host in session.scalars(select(Host).where(Host.name.in_(left | ended.keys()))):
        remaining = [run for run in host.unended_runs if run not in ended.get(host.name, ())]
        host.unended_runs = [*remaining, run_id] if host.name in left else remaining


def set_state(session: Session, core: Core, host: Host, state: str, reason: str | None = None) -> None:
    """An operator's word about *host*; `enabled` lifts its quarantine, too."""
    was_closed = host.is_closed
    host.state, host.disabled_reason = state, None if state == "enabled" else reason
    if state == "enabled":
        _forgive(host)
    if was_closed and not host.is_closed:
        welcome_back(session, core, host)


def welcome_back(session: Session, core: Core, host: Host) -> None:
    """*host* may be worked on again: it learns what it missed, and the jobs that waited for it go on."""
    release(session, core, host.name)
    for kind in resource_kinds(core).values():
        kind.host_returned(session, host, core)


def release(session: Session, core: Core, host: str) -> None:
    """Let the jobs that wait for *host* go on."""
    waiting = update(Job).where(Job.state == "queued", Job.held_by == host)
    session.execute(waiting.values(held_by=None, not_before=None, waiting_for=None))
    after_commit(session, "notify workers", core.queue.notify)


def closed(session: Session) -> dict[str, Hold]:
    """The hosts that jobs keep off at the moment, by name."""
    now = utcnow()
    found = {}
    for host in session.scalars(select(Host).where(or_(Host.state == MAINTENANCE, Host.retry_at.is_not(None)))):
        if host.state == MAINTENANCE:
            found[host.name] = Hold(host.name, f"host {host.name} is in maintenance", now + RECHECK, unreachable=False)
        elif hold := _unreachable(host, now):
            found[host.name] = hold
    return found


def _unreachable(host: Host, now: datetime) -> Hold | None:
    """None when it is time that a job tries the host; a quarantined one is left to the observer."""
    if host.retry_at is None or (host.retry_at <= now and host.quarantined_at is None):
        return None
    reason = f"{host.name} is unreachable; retry at {isoformat(host.retry_at)}"
    return Hold(host.name, reason, host.retry_at if host.retry_at > now else now + RECHECK, unreachable=True)


def render_open(
    session: Session, core: Core, jobs: Sequence[Job], render: Callable[[Sequence[Job]], Work]
) -> tuple[list[Job], Work]:
    """Render the *jobs* whose hosts may be worked on; the others wait, or are refused."""
    holds = closed(session)
    if not holds:
        return list(jobs), render(jobs)
    left, refused, silent, waiting = list(jobs), {}, set(), list[tuple[Job, Hold]]()
    while left:
        with session.begin_nested() as savepoint:
            work = render(left)
            stuck = [(job, hold) for job in left if (hold := hold_of(core, job, work, holds))]
            if stuck:
                savepoint.rollback()  # what was decided for these jobs was decided for all
        if not stuck:
            break
        for job, hold in stuck:
            if hold.unreachable and (job.id in work.fail_fast or _expired(core, job)):
                refused[job.id] = _given_up(session, hold)
                silent.add(job.id)
            else:
                waiting.append((job, hold))
        left = [job for job in left if all(job is not other for other, _ in stuck)]
    work = work if left else Work()
    for job, hold in waiting:
        _keep_waiting(job, hold)
    leave_out(work, holds)
    work.refused.update(refused)
    work.unreachable |= silent
    return [job for job in jobs if job.state == "running"], work


def hold_of(core: Core, job: Job, work: Work, holds: dict[str, Hold]) -> Hold | None:
    """What keeps *job* from running: maintenance before all, for it says who is to be asked."""
    kind = core.kind_of(job.playbook)
    if job.forced or kind.probing or job.id in work.refused:
        return None
    found = [holds[host] for host in {host for host, _ in work.depends.get(job.id, ())} & holds.keys()]
    if kind.read_only:  # it changes nothing: maintenance does not matter
        found = [hold for hold in found if hold.unreachable]
    return min(found, key=lambda hold: (hold.unreachable, hold.host), default=None)


def leave_out(work: Work, holds: dict[str, Hold]) -> None:
    """Spare the run the hosts that no job of it depends on: they learn what they missed when they are back."""
    needed = {host for depends in work.depends.values() for host, _ in depends}
    for name in holds.keys() - needed:
        work.items.pop(name, None)


def put_off(session: Session, core: Core, job: Job, work: Work, results: Results) -> bool:
    """After a run in which nothing but silent hosts kept *job* from succeeding: whether it gets another attempt."""
    silent = results.silent(work.depends[job.id])
    final = core.kind_of(job.playbook).probing or job.id in work.fail_fast or job.cancel_requested_at is not None
    if not silent or final or _expired(core, job):
        return False
    chosen = work.scheduled.get(job.id)
    if chosen in silent and chosen not in results.answered:
        # Nothing has been done there: the scheduler may choose another host.
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
    give_back(job)
    job.waiting_since = job.held_since = job.held_since or utcnow()
    _wait(job, hold)


def give_back(job: Job) -> None:
    """Put a claimed job back into the queue, as if it had not been claimed."""
    back_to_queue(job)
    job.attempts -= 1
    if job.attempts == 0:
        job.started_at = None


def _wait(job: Job, hold: Hold) -> None:
    job.held_by, job.waiting_for, job.not_before = hold.host, hold.reason, hold.until


def _expired(core: Core, job: Job) -> bool:
    """Whether *job* has waited too long; what nobody asked for, such as cleaning up, waits for as long as it takes."""
    limit = timedelta(seconds=core.settings.unreachable_seconds)
    return job.user_id is not None and job.held_since is not None and utcnow() - job.held_since >= limit


def _given_up(session: Session, hold: Hold) -> str:
    host = session.get_one(Host, hold.host)
    return f"{host.name} is unreachable: {host.unreachable}"

"""Retention: removes old or too many rows of runs, events, jobs, deliveries, schedules' runs, audit records and tokens.

A worker removes them in small batches between its other work, so that no transaction is long. The counts of removed
rows are kept as tallies in the same transaction.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from skywright.auth.tokens import old_revocations
from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.identity import Project
from skywright.db.jobs import UNFINISHED, Event, Job, Run
from skywright.db.operations import Audit, Heartbeat, Tally, allow_audit_removal
from skywright.db.schedules import Schedule, ScheduleRun
from skywright.db.webhooks import Delivery, Webhook
from skywright.jobs.runs import records
from skywright.jobs.webhooks.announce import PENDING

BATCH = 200
EVENT_BATCH = 5000
SILENT = timedelta(hours=1)
# The observation's jobs are not from users: their records are only useful for a short time.
OBSERVED = timedelta(minutes=30)
# Anybody can send requests without a valid token: their records must not displace the records of users.
ANONYMOUS_SHARE = 10

# The tallies that continue metrics of removed rows, and the format of their labels.
ENDED = "jobs_ended"  # "<playbook> <state>"
RUN_SECONDS = "run_seconds"  # "<playbook> <column of run_times()>"
EVENTS = "events"
FAILED = "host_failures"  # "<host>"
RUN_BUCKETS = (0.5, 1, 2, 5, 10, 30, 60, 300, 1800)


def sweep(core: Core, now: datetime | None = None) -> int:
    """Remove one batch of expired rows of each kind; return the number of rows."""
    settings, now = core.settings, now or utcnow()
    runs_before = now - timedelta(days=settings.keep_runs_days)
    audit_before = now - timedelta(days=settings.keep_audit_days)
    with core.database.read() as session:  # counting takes time, which must not delay writers
        events_before = now - timedelta(days=settings.keep_events_days)
        silent = _runs_without_events(session, events_before, settings.keep_events)
    steps: tuple[Callable[[Session], int], ...] = (
        partial(_runs, before=runs_before, most=settings.keep_runs, now=now),
        partial(_events, runs=silent),
        partial(_jobs, before=audit_before, now=now),
        partial(_audit, before=audit_before, most=settings.keep_audit),
        partial(_rows, statement=old_revocations(now)),
        partial(_rows, statement=delete(Heartbeat).where(Heartbeat.seen_at < now - SILENT)),
        partial(_deliveries, before=events_before),
        partial(_schedule_runs, before=runs_before, most=settings.keep_runs),
    )
    removed = 0
    for step in steps:
        with core.database.write() as session:
            removed += step(session)
    records.clean_up(core)
    return removed


def run_times(runs: Sequence[str] | None = None) -> Any:
    """Return for each playbook: seconds, number of runs, and number of runs within each bucket's limit."""
    below = [func.sum(case((Run.seconds <= limit, 1), else_=0)) for limit in RUN_BUCKETS]
    ended = select(Run.playbook, func.sum(Run.seconds), func.count(), *below).where(Run.seconds.is_not(None))
    return (ended if runs is None else ended.where(Run.id.in_(runs))).group_by(Run.playbook)


def _runs(session: Session, before: datetime, most: int, now: datetime) -> int:
    """Remove runs that are old or too many, and soon those of the observation, with their events and records."""
    observed = select(Job.run_id).where(_observed(now), Job.run_id.is_not(None))
    beyond = session.scalar(select(Run.started_at).order_by(Run.started_at.desc()).offset(most).limit(1))
    limit = max(before, beyond) if beyond else before
    old = or_(Run.started_at <= limit, Run.id.in_(observed))
    busy = select(Job.run_id).where(Job.state == "running", Job.run_id.is_not(None))
    query = select(Run.id).where(old, Run.state != "running", Run.id.not_in(busy)).order_by(Run.started_at).limit(BATCH)
    ids = session.scalars(query.with_for_update(skip_locked=True)).all()
    if ids:
        _tally_runs(session, ids)
        session.execute(delete(Event).where(Event.run_id.in_(ids)))
        session.execute(update(Job).where(Job.run_id.in_(ids)).values(run_id=None))
        session.execute(delete(Run).where(Run.id.in_(ids)))
    return len(ids)


def _tally_runs(session: Session, ids: Sequence[str]) -> None:
    for playbook, *columns in session.execute(run_times(ids)):
        for number, value in enumerate(columns):
            _add(session, RUN_SECONDS, f"{playbook} {number}", float(value))
    _add(session, EVENTS, "", float(session.scalar(select(func.sum(Run.events)).where(Run.id.in_(ids))) or 0))
    failures: Counter[str] = Counter()
    for found in session.scalars(select(Run.failures).where(Run.id.in_(ids), Run.failures.is_not(None))):
        failures.update(found)
    for host, count in sorted(failures.items()):
        _add(session, FAILED, host, count)


def _events(session: Session, runs: Sequence[str]) -> int:
    return _rows(session, delete(Event).where(Event.run_id.in_(runs)))


def _runs_without_events(session: Session, before: datetime, most: int) -> list[str]:
    """Return runs whose events are removed, but not their results: old ones and, if there are too many events, the
    oldest.
    """
    excess = (session.scalar(select(func.count()).select_from(Event)) or 0) - most
    oldest = select(Run.id, Run.started_at, Run.events).where(
        Run.state != "running", exists().where(Event.run_id == Run.id)
    )
    chosen: list[str] = []
    removed = 0
    for run_id, started_at, count in session.execute(oldest.order_by(Run.started_at).limit(BATCH)):
        if removed >= EVENT_BATCH or (started_at >= before and removed >= excess):
            break
        chosen.append(run_id)
        removed += count
    return chosen


def _observed(now: datetime) -> ColumnElement[bool]:
    ended = Job.state.not_in(UNFINISHED)
    return and_(Job.user_id.is_(None), Job.playbook == "host", ended, Job.created_at < now - OBSERVED)


def _jobs(session: Session, before: datetime, now: datetime) -> int:
    """Remove old jobs. They are kept as long as audit records, except for those of the observation."""
    ended = Job.state.not_in(UNFINISHED)
    old = or_(and_(ended, Job.created_at < before), _observed(now))
    query = select(Job).where(old).order_by(Job.sequence).limit(BATCH)
    jobs = session.scalars(query.with_for_update(skip_locked=True)).all()
    for label, count in Counter(f"{job.playbook} {job.state}" for job in jobs).items():
        _add(session, ENDED, label, count)
    for job in jobs:
        session.delete(job)
    return len(jobs)


def _audit(session: Session, before: datetime, most: int) -> int:
    allow_audit_removal(session)
    total = session.scalar(select(func.max(Audit.sequence))) or 0
    removed = _rows(session, _oldest(Audit.at < before))
    removed += _rows(session, _oldest(Audit.sequence <= total - most))
    anonymous = select(Audit.sequence).where(Audit.user_id.is_(None)).order_by(Audit.sequence.desc())
    limit = session.scalar(anonymous.offset(max(1, most // ANONYMOUS_SHARE)).limit(1))
    if limit is not None:
        removed += _rows(session, _oldest(Audit.user_id.is_(None), Audit.sequence <= limit))
    return removed


def _deliveries(session: Session, before: datetime) -> int:
    """Remove old deliveries of webhooks, and those of removed projects."""
    removed = _rows(session, delete(Delivery).where(Delivery.state != PENDING, Delivery.created_at < before))
    orphans = Webhook.project_id.is_not(None) & Webhook.project_id.not_in(select(Project.id))
    return removed + _rows(session, delete(Webhook).where(orphans))


def _schedule_runs(session: Session, before: datetime, most: int) -> int:
    """Remove old runs of schedules, and those of removed projects."""
    newest = session.scalar(select(func.max(ScheduleRun.id))) or 0
    old = or_(ScheduleRun.started_at < before, ScheduleRun.id <= newest - most)
    removed = _rows(session, delete(ScheduleRun).where(old, ScheduleRun.state != "running"))
    return removed + _rows(session, delete(Schedule).where(Schedule.project_id.not_in(select(Project.id))))


def _oldest(*conditions: Any) -> Any:
    # MariaDB requires a derived table around a subquery with a limit.
    chosen = select(Audit.sequence).where(*conditions).order_by(Audit.sequence).limit(BATCH).subquery()
    return delete(Audit).where(Audit.sequence.in_(select(chosen.c.sequence)))


def _rows(session: Session, statement: Any) -> int:
    return int(session.execute(statement.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def _add(session: Session, metric: str, label: str, value: float) -> None:
    row = session.get(Tally, (metric, label), with_for_update=True)
    if row is None:
        session.add(Tally(metric=metric, label=label, value=value))
    else:
        row.value += value

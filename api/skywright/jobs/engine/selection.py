"""Whose turn it is: which of the queued jobs run next.

Jobs of one resource run in the order of their submission, whatever their priority: a job lifts those that it waits
for. Of the jobs that may run, the ones with the highest priority decide; among equals, playbooks take turns for runs
and projects take turns for the places in a run. So one project's thousand jobs cost another's one job no more than the
run that is on its way.

All unfinished jobs are looked at, for any of them may keep others waiting: a few columns of each, 10 ms a thousand.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, inspect, select
from sqlalchemy.orm import Session, lazyload

from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.jobs import UNFINISHED, Job, JobResource

BATCH = 50
# The priority of canceled jobs that take back what they made: somebody waits for that.
URGENT = 1000
# A job that was tried so often runs in a run of its own: it may be what ended the runs that it shared.
ALONE_AFTER = 2
# Of the tables, not of their classes: rows of thousands of jobs, without the mapper's share of the time.
_job, _resource = inspect(Job).local_table.c, inspect(JobResource).local_table.c
COLUMNS = (
    _job.sequence,
    _job.id,
    _job.playbook,
    _job.action,
    _job.state,
    _job.project_id,
    case((_job.undoing, URGENT), else_=_job.priority).label("priority"),
    _job.forced,
    _job.not_before,
    _job.held_by,
    _job.waiting_for,
    (_job.attempts - _job.put_off).label("tried"),
)
TOLD_AT_ONCE = 200

Key = tuple[str, str]
Keys = Mapping[int, Sequence[Key]]
Changes = dict[str, Any]


class Selection:
    """Who went last, in one worker's memory: another worker's turns are as fair."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[str, int] = {}

    def last(self, who: str | None) -> int:
        return self._last.get(who or "", 0)

    def taken(self, by: Iterable[str | None]) -> None:
        self._count += 1
        self._last.update(dict.fromkeys((who or "" for who in by), self._count))


class Ready(NamedTuple):
    """A queued job that may run."""

    sequence: int
    playbook: str
    project_id: str | None
    priority: int
    alone: bool

    @property
    def playbook_turn(self) -> str:
        return f"playbook {self.playbook}"


def choose(session: Session, core: Core, selection: Selection) -> list[Job]:
    """The jobs that run next, of one playbook; the waiting ones are told what for."""
    unfinished = _job.state.in_(UNFINISHED)
    rows = session.execute(select(*COLUMNS).where(unfinished).order_by(_job.sequence)).all()
    keys: dict[int, list[Key]] = defaultdict(list)
    resources = select(_resource.job_sequence, _resource.resource_type, _resource.resource_id)
    mine = _resource.job_sequence == _job.sequence
    for sequence, kind, key in session.execute(resources.where(mine, unfinished)):
        keys[sequence].append((kind, key))
    ready, told = sort_out(core, rows, keys, utcnow())
    _tell(session, told)
    if not ready:
        return []
    sequences = [job.sequence for job in batch(ready, selection)]
    jobs = {job.sequence: job for job in session.scalars(select(Job).where(Job.sequence.in_(sequences)))}
    return [jobs[sequence] for sequence in sequences]


def batch(ready: Sequence[Ready], selection: Selection) -> list[Ready]:
    """Those of the jobs that may run that share the next run."""
    highest = max(job.priority for job in ready)
    deciding = [job for job in ready if job.priority == highest]
    playbook = min(deciding, key=lambda job: (selection.last(job.playbook_turn), job.sequence)).playbook
    places: dict[str | None, int] = defaultdict(int)
    order = []
    for job in sorted((job for job in ready if job.playbook == playbook), key=lambda job: -job.priority):
        place = places[job.project_id] = places[job.project_id] + 1
        if place <= BATCH:
            order.append((-job.priority, place, selection.last(job.project_id), job.sequence, job))
    candidates = [entry[-1] for entry in sorted(order)]
    first = candidates[0]
    chosen = [first] if first.alone else [job for job in candidates if not job.alone][:BATCH]
    selection.taken([first.playbook_turn, *(job.project_id for job in chosen)])
    return chosen


def sort_out(core: Core, rows: Sequence[Any], keys: Keys, now: datetime) -> tuple[list[Ready], dict[int, Changes]]:
    """The queued jobs that neither an earlier job nor the time keeps from running, and what changes for the others."""
    queued = [row for row in rows if row.state == "queued"]
    lifted = _lifted(queued, keys)
    before = {key: row for row in rows if row.state == "running" for key in keys.get(row.sequence, ())}
    ready: list[Ready] = []
    told: dict[int, Changes] = defaultdict(dict)
    for row in queued:
        mine = keys.get(row.sequence, ())
        blocker = next((before[key] for key in mine if key in before), None)
        before.update(dict.fromkeys(mine, row))
        priority, forced = lifted.get(row.sequence, (row.priority, row.forced))
        if forced and not row.forced:
            told[row.sequence]["forced"] = True
        if blocker is not None:
            reason = f"job {blocker.id} ({blocker.playbook} {blocker.action})"
            if row.waiting_for != reason:
                told[row.sequence] |= {"waiting_for": reason, "waiting_since": now}
        elif row.not_before is None or row.not_before <= now or (forced and row.held_by is not None):
            playbook = core.playbook_of(row.playbook)
            ready.append(Ready(row.sequence, playbook, row.project_id, priority, row.tried >= ALONE_AFTER))
    return ready, told


def _lifted(queued: Sequence[Any], keys: Keys) -> dict[int, tuple[int, bool]]:
    """{sequence: (priority, forced)} of each job with those of the jobs that wait for it."""
    if not any(row.priority or row.forced for row in queued):
        return {}
    lifts: dict[Key, tuple[int, bool]] = {}
    found = {}
    for row in reversed(queued):
        mine = keys.get(row.sequence, ())
        behind = [lifts[key] for key in mine if key in lifts]
        priority = max([row.priority, *(lift[0] for lift in behind)])
        forced = row.forced or any(lift[1] for lift in behind)
        found[row.sequence] = priority, forced
        lifts.update(dict.fromkeys(mine, (priority, forced)))
    return found


def _tell(session: Session, told: Mapping[int, Changes]) -> None:
    """Write down what changes for waiting jobs; of very many, the last ones learn it next time."""
    sequences = sorted(told)[:TOLD_AT_ONCE]
    for job in session.scalars(select(Job).options(lazyload(Job.resources)).where(Job.sequence.in_(sequences))):
        for name, value in told[job.sequence].items():
            setattr(job, name, value)

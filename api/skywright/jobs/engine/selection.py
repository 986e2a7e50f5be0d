"""Selection: which of the queued jobs run next.

Jobs of one resource run in the order of their submission, whatever their priority: a job inherits the priority of the
jobs that wait for it. The jobs with the highest priority that can run decide which playbook runs. Among equal ones,
playbooks take turns for runs, and projects take turns for the places in a run. So a project with a thousand jobs delays
the job of another project by not more than the current run.

All unfinished jobs are read, because each may block others: a few columns of each, 10 ms for 1000 jobs.
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
# The priority of canceled jobs that undo their changes: a user waits for that.
URGENT = 1000
# After so many attempts a job runs alone: it may be the reason why the runs that it shared ended.
ALONE_AFTER = 2
# Columns of the tables, not of the classes: the ORM's mapping would take most of the time for thousands of rows.
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
UPDATES_PER_CALL = 200

Key = tuple[str, str]
Keys = Mapping[int, Sequence[Key]]
Changes = dict[str, Any]


class Selection:
    """Which playbooks and projects came last. Each worker has its own selection."""

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
    def playbook_key(self) -> str:
        return f"playbook {self.playbook}"


def choose(session: Session, core: Core, selection: Selection) -> list[Job]:
    """Return the jobs that run next, of one playbook. Record in the others what they wait for."""
    unfinished = _job.state.in_(UNFINISHED)
    rows = session.execute(select(*COLUMNS).where(unfinished).order_by(_job.sequence)).all()
    keys: dict[int, list[Key]] = defaultdict(list)
    resources = select(_resource.job_sequence, _resource.resource_type, _resource.resource_id)
    mine = _resource.job_sequence == _job.sequence
    for sequence, kind, key in session.execute(resources.where(mine, unfinished)):
        keys[sequence].append((kind, key))
    ready, changes = find_ready(core, rows, keys, utcnow())
    _store_changes(session, changes)
    if not ready:
        return []
    sequences = [job.sequence for job in batch(ready, selection)]
    jobs = {job.sequence: job for job in session.scalars(select(Job).where(Job.sequence.in_(sequences)))}
    return [jobs[sequence] for sequence in sequences]


def batch(ready: Sequence[Ready], selection: Selection) -> list[Ready]:
    """Return the jobs that share the next run."""
    highest = max(job.priority for job in ready)
    deciding = [job for job in ready if job.priority == highest]
    playbook = min(deciding, key=lambda job: (selection.last(job.playbook_key), job.sequence)).playbook
    places: dict[str | None, int] = defaultdict(int)
    order = []
    for job in sorted((job for job in ready if job.playbook == playbook), key=lambda job: -job.priority):
        place = places[job.project_id] = places[job.project_id] + 1
        if place <= BATCH:
            order.append((-job.priority, place, selection.last(job.project_id), job.sequence, job))
    candidates = [entry[-1] for entry in sorted(order)]
    first = candidates[0]
    chosen = [first] if first.alone else [job for job in candidates if not job.alone][:BATCH]
    selection.taken([first.playbook_key, *(job.project_id for job in chosen)])
    return chosen


def find_ready(core: Core, rows: Sequence[Any], keys: Keys, now: datetime) -> tuple[list[Ready], dict[int, Changes]]:
    """Return the queued jobs that can run now, and {sequence: changes} of the jobs that have to wait."""
    queued = [row for row in rows if row.state == "queued"]
    lifted = _inherited_priorities(queued, keys)
    before = {key: row for row in rows if row.state == "running" for key in keys.get(row.sequence, ())}
    ready: list[Ready] = []
    changes: dict[int, Changes] = defaultdict(dict)
    for row in queued:
        mine = keys.get(row.sequence, ())
        blocker = next((before[key] for key in mine if key in before), None)
        before.update(dict.fromkeys(mine, row))
        priority, forced = lifted.get(row.sequence, (row.priority, row.forced))
        if forced and not row.forced:
            changes[row.sequence]["forced"] = True
        if blocker is not None:
            reason = f"job {blocker.id} ({blocker.playbook} {blocker.action})"
            if row.waiting_for != reason:
                changes[row.sequence] |= {"waiting_for": reason, "waiting_since": now}
        elif row.not_before is None or row.not_before <= now or (forced and row.held_by is not None):
            playbook = core.playbook_of(row.playbook)
            ready.append(Ready(row.sequence, playbook, row.project_id, priority, row.tried >= ALONE_AFTER))
    return ready, changes


def _inherited_priorities(queued: Sequence[Any], keys: Keys) -> dict[int, tuple[int, bool]]:
    """Return {sequence: (priority, forced)} of each job, including those of the jobs that wait for it."""
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


def _store_changes(session: Session, changes: Mapping[int, Changes]) -> None:
    """Store the changes of waiting jobs. If there are very many, the next call stores the rest."""
    sequences = sorted(changes)[:UPDATES_PER_CALL]
    for job in session.scalars(select(Job).options(lazyload(Job.resources)).where(Job.sequence.in_(sequences))):
        for name, value in changes[job.sequence].items():
            setattr(job, name, value)

"""The feed of changes of jobs, in the order of commits: read once for all followers of this process.

A follower that is up to date is served from memory; a follower that resumes first reads the changes that it missed from
the database.
"""

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from skywright.db import Database
from skywright.db.changes import latest
from skywright.db.jobs import UNFINISHED, Event, Job, JobResource, Run
from skywright.queue.local import Queue

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2  # without a notification
REST_SECONDS = 0.02
PAGE = 500
RECENT = 2000  # number of changes in memory


@dataclass(frozen=True)
class Scope:
    """The jobs that a follower selects. None: any value."""

    job_id: str | None = None
    resource: tuple[str, str] | None = None
    project_id: str | None = None

    def sees(self, job: Job) -> bool:
        resources = {(row.resource_type, row.resource_id) for row in job.resources}
        return (
            self.job_id in (None, job.id)
            and self.project_id in (None, job.project_id)
            and (self.resource is None or self.resource in resources)
        )

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return *query*, a query of jobs, limited to these."""
        if self.job_id is not None:
            query = query.where(Job.id == self.job_id)
        if self.project_id is not None:
            query = query.where(Job.project_id == self.project_id)
        if self.resource is not None:
            kind, key = self.resource
            touching = select(JobResource.job_sequence).where(
                JobResource.resource_id == key, JobResource.resource_type == kind
            )
            query = query.where(Job.sequence.in_(touching))
        return query


@dataclass(frozen=True)
class Change:
    """The current state of a job, or an event of a run; *jobs* are the jobs that it is about."""

    number: int
    jobs: Sequence[Job]
    run: Run | None = None
    event: Event | None = None


def read(session: Session, scope: Scope, after: int) -> tuple[list[Change], int]:
    """Return a page of the changes after the number *after*, and the number of the last change that it covers."""
    now = latest(session)
    jobs = session.scalars(_later(scope.narrow(select(Job)), Job, after)).all()
    runs = scope.narrow(select(Job.run_id))
    if scope.job_id is None and scope.resource is None:
        runs = runs.where(Job.change > after)  # storing events also gives their jobs new numbers
    ours = Event.run_id.in_(runs.where(Job.run_id.is_not(None)))
    events = session.scalars(_later(select(Event).where(ours), Event, after).order_by(Event.counter)).all()
    # Later changes belong to the next page.
    reaches = min([now, *(rows[-1].change for rows in (jobs, events) if len(rows) == PAGE)])
    concerned = _jobs_of(session, scope, {event.run_id for event in events})
    carrying = {job.run_id for job in jobs if job.run_id}
    by_id = {run.id: run for run in session.scalars(select(Run).where(Run.id.in_(carrying)))}
    changes = [Change(event.change, concerned[event.run_id], event=event) for event in events]
    changes += [Change(job.change, [job], run=by_id.get(job.run_id or "")) for job in jobs]
    return sorted((change for change in changes if change.number <= reaches), key=_number), reaches


def unfinished(session: Session, scope: Scope) -> tuple[list[Change], int]:
    """Return the unfinished jobs, and the number of the last change that they include."""
    now = latest(session)
    jobs = session.scalars(scope.narrow(select(Job)).where(Job.state.in_(UNFINISHED)).order_by(Job.sequence)).all()
    by_id = {run.id: run for run in session.scalars(select(Run).where(Run.id.in_({job.run_id for job in jobs})))}
    return [Change(job.change, [job], run=by_id.get(job.run_id or "")) for job in jobs], now


def _later(query: Select[Any], kind: type[Job] | type[Event], after: int) -> Select[Any]:
    return query.where(kind.change > after).order_by(kind.change).limit(PAGE)


def _jobs_of(session: Session, scope: Scope, runs: set[str]) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = defaultdict(list)
    if runs:
        for job in session.scalars(scope.narrow(select(Job)).where(Job.run_id.in_(runs)).order_by(Job.sequence)):
            found[job.run_id or ""].append(job)
    return found


def _number(change: Change) -> int:
    return change.number


class Feed:
    """The latest changes of all jobs. The database is read only while there are followers (`async with`)."""

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database, self._queue = database, queue
        self._told: asyncio.Event | None = None
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._recent: list[Change] = []
        self._floor: int | None = None  # all changes from here to the newest are in memory
        self._top = 0

    async def __aenter__(self) -> "Feed":
        self._followers += 1
        if self._told is None:
            self._told = asyncio.Event()
            self._queue.subscribe(partial(_tell, asyncio.get_running_loop(), self._told))
        if self._task is None:
            self._task = asyncio.create_task(self._watch(self._told))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._followers -= 1
        if not self._followers and self._task is not None:
            self._task.cancel()
            self._task, self._floor, self._recent = None, None, []

    def since(self, after: int) -> tuple[list[Change], int] | None:
        """Return a page of the changes after *after*, and the last number that it covers; None if they are not in
        memory.
        """
        if self._floor is None or after < self._floor:
            return None
        begin = bisect_right(self._recent, after, key=_number)
        page = self._recent[begin : begin + PAGE]
        return page, page[-1].number if len(page) == PAGE else max(after, self._top)

    async def news(self, after: int, stopping: asyncio.Event, timeout: float) -> None:
        """Wait for a change after *after*, for *stopping*, or for *timeout* seconds."""
        if self._top <= after:
            waits = [asyncio.create_task(event.wait()) for event in (self._news, stopping)]
            try:
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _watch(self, told: asyncio.Event) -> None:
        while True:
            changes: list[Change] = []
            told.clear()
            try:
                changes, reaches = await run_in_threadpool(self._look)
            except Exception:
                log.exception("jobs cannot be read; the next attempt follows")
            else:
                self._remember(changes, reaches)
            if len(changes) < PAGE:
                await asyncio.sleep(REST_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told.wait(), LOOK_SECONDS - REST_SECONDS)

    def _look(self) -> tuple[list[Change], int]:
        with self._database.read() as session:
            now = latest(session)
            return read(session, Scope(), self._top) if self._floor is not None and now > self._top else ([], now)

    def _remember(self, changes: list[Change], reaches: int) -> None:
        begins = self._floor is None
        self._floor = reaches if self._floor is None else self._floor
        self._top = reaches
        self._recent += changes
        if len(self._recent) > RECENT:
            self._floor = self._recent[-RECENT - 1].number
            del self._recent[:-RECENT]
        if changes or begins:
            self._news.set()
            self._news = asyncio.Event()


def _tell(loop: asyncio.AbstractEventLoop, told: asyncio.Event) -> None:
    """Notify the feed of a change, from another thread."""
    with contextlib.suppress(RuntimeError):  # the process is stopping
        loop.call_soon_threadsafe(told.set)

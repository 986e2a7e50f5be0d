"""Jobs as server-sent events: one job until it ends, the jobs of a resource, of a project, or all.

`event: job` has a job after each change, `event: event` one event of a run. Their ids are change numbers: a client that
sends the last one (`Last-Event-ID`) resumes after it, and neither misses nor repeats anything. Between two reads a
stream holds neither a thread nor a transaction.
"""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import orjson
from fastapi import Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from skywright.cloud import Cloud
from skywright.db.changes import latest
from skywright.db.jobs import UNFINISHED, Job
from skywright.errors import ApiError
from skywright.http import NotFound, Router
from skywright.http.policy import with_rules
from skywright.http.router import request_context
from skywright.services.operations.feed import Change, Feed, Scope, read, unfinished
from skywright.services.operations.jobs import visible_job
from skywright.services.operations.listing import check_parameters
from skywright.services.operations.views import event_views, job_view

router = Router()

ALIVE_SECONDS = 15.0
LONGEST_NUMBER = 18


class Follower:
    """The position of one client in the changes that it may see."""

    def __init__(self, cloud: Cloud, scope: Scope, last: str, *, admin: bool) -> None:
        self._database, self._scope, self._admin = cloud.database, scope, admin
        self._shown: dict[str, dict[str, Any]] = {}
        self.position = -1
        self.over = False
        if last.isascii() and last.isdecimal() and len(last) <= LONGEST_NUMBER:
            with cloud.database.read() as session:
                self.position = int(last) if int(last) <= latest(session) else -1

    def begin(self) -> list[bytes]:
        """Return the first messages. One job is shown from the begin of its run; of several, only unfinished ones are
        shown.
        """
        if self.position >= 0 or self._scope.job_id is not None:
            return self.catch_up()
        with self._database.read() as session:
            jobs, self.position = unfinished(session, self._scope)
        told = [message for change in jobs for message in self._job(change, numbered=False)]
        return [*told, _message("ready", {}, self.position)]

    def catch_up(self) -> list[bytes]:
        """Return the next page of changes in the database."""
        with self._database.read() as session:
            changes, reaches = read(session, self._scope, self.position)
            if not changes and self._scope.job_id is not None and self._gone(session):
                self.over = True
        return self.take(changes, reaches)

    def take(self, changes: Iterable[Change], reaches: int) -> list[bytes]:
        """Return the messages about *changes*, which end at the number *reaches*."""
        messages = [message for change in changes for message in self._messages(change)]
        self.position = reaches
        return messages

    def _gone(self, session: Session) -> bool:
        """Return whether no message will follow: the client has already seen the end of the job."""
        state = session.scalar(select(Job.state).where(Job.id == self._scope.job_id))
        return state is None or state not in UNFINISHED

    def _messages(self, change: Change) -> Iterator[bytes]:
        if change.event is None:
            yield from self._job(change)
            return
        jobs = [job for job in change.jobs if self._scope.sees(job)]
        if jobs:
            for view in event_views(jobs, [change.event], admin=self._admin):
                yield _message("event", {**view, "jobs": [job.id for job in jobs]}, change.number)

    def _job(self, change: Change, *, numbered: bool = True) -> Iterator[bytes]:
        (job,) = change.jobs
        if not self._scope.sees(job):
            return
        view = job_view(job, change.run, admin=self._admin)
        ended = job.state not in UNFINISHED
        if self._shown.get(job.id) != view:  # otherwise only columns changed that are not shown
            yield _message("job", view, change.number if numbered else None)
        self._shown[job.id] = view
        if ended:
            del self._shown[job.id]
            self.over = self._scope.job_id is not None


@router.get("/jobs/{job_id}/follow", response_model=None)
@with_rules(("operations:jobs:list", "operations:jobs:list_all"))
async def follow_job(request: Request, job_id: str) -> StreamingResponse:
    return await _follow(request, job_id=job_id)


@router.get("/resources/{kind}/{key}/follow", response_model=None)
@with_rules(("operations:jobs:list", "operations:jobs:list_all"))
async def follow_resource(request: Request, kind: str, key: str) -> StreamingResponse:
    return await _follow(request, resource=(kind, key))


@router.get("/follow", response_model=None)
@with_rules(("operations:jobs:list", "operations:jobs:list_all"))
async def follow_project(request: Request, project_id: str | None = None) -> StreamingResponse:
    """Return the caller's project. Administrators may follow any project, or all if they name none."""
    return await _follow(request, project_id=project_id)


async def _follow(request: Request, **wanted: Any) -> StreamingResponse:
    last = request.headers.get("last-event-id", "")
    follower = await run_in_threadpool(_follower, request, last, **wanted)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(request, follower, wanted), media_type="text/event-stream", headers=headers)


def _follower(
    request: Request,
    last: str,
    *,
    job_id: str | None = None,
    resource: tuple[str, str] | None = None,
    project_id: str | None = None,
) -> Follower:
    """Return the follower, if the caller may see what it selects."""
    with request_context(request, write=False) as context:
        check_parameters(context)
        every = context.allows("operations:jobs:list_all")
        scope = Scope(job_id, resource, project_id if every else context.project_id)
        if job_id is not None:
            visible_job(context, job_id)
        elif project_id is not None:
            context.enforce("operations:jobs:list", {"project_id": project_id})
        elif resource is not None and context.db.scalar(scope.narrow(select(Job.sequence)).limit(1)) is None:
            raise NotFound.of("Resource", "/".join(resource))
        return Follower(context.cloud, scope, last, admin=context.is_admin)


def _feed(request: Request) -> Feed:
    state = request.app.state
    if not hasattr(state, "feed"):
        state.feed = Feed(state.cloud.database, state.cloud.queue)
    feed: Feed = state.feed
    return feed


async def _stream(request: Request, follower: Follower, wanted: dict[str, Any]) -> AsyncIterator[bytes]:
    feed, stopping = _feed(request), request.state.stopping
    spoken = checked = time.monotonic()
    async with feed:
        messages = await run_in_threadpool(follower.begin)
        while not follower.over and not stopping.is_set():
            now = time.monotonic()
            if messages or now - spoken > ALIVE_SECONDS:
                spoken = now
                yield b"".join(messages) or b": still there\n\n"
            if now - checked > ALIVE_SECONDS:
                checked = now
                if not await run_in_threadpool(_still_allowed, request, wanted):
                    return
            before, found = follower.position, feed.since(follower.position)
            messages = follower.take(*found) if found else await run_in_threadpool(follower.catch_up)
            if follower.position == before:
                await feed.news(before, stopping, ALIVE_SECONDS / 3)
        yield b"".join(messages)


def _still_allowed(request: Request, wanted: dict[str, Any]) -> bool:
    """Check the caller's rights again: tokens may expire and rights may be removed during a stream."""
    try:
        _follower(request, "", **wanted)
    except ApiError:
        return False
    return True


def _message(kind: str, data: dict[str, Any], identifier: int | None = None) -> bytes:
    line = "" if identifier is None else f"id: {identifier}\n"
    return f"{line}event: {kind}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"

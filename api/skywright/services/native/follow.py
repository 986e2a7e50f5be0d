"""`/v1/jobs/{id}/follow`: a job as server-sent events, until it ends.

`event: job` carries the job whenever it changed, `event: event` one event of its run, with an id to resume from
(`Last-Event-ID`). Between two looks nothing is held: no thread, no transaction.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import Request
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from skywright.db import Database
from skywright.db.jobs import Event, Job
from skywright.http import Router
from skywright.http.router import request_context
from skywright.jobs.settle import UNFINISHED
from skywright.services.native.jobs import visible_job
from skywright.services.native.views import event_views, job_views

router = Router()

LOOK_SECONDS = 0.2
ALIVE_SECONDS = 15.0
BATCH = 500


class Follower:
    """One client's place in one job's story."""

    def __init__(self, database: Database, job_id: str, last: str, *, admin: bool) -> None:
        self._database, self._job_id, self._admin = database, job_id, admin
        attempt, _, counter = last.partition("-")
        resumed = attempt.isdecimal() and counter.isdecimal()
        self._attempt, self._counter = (int(attempt), int(counter)) if resumed else (0, 0)
        self._shown: dict[str, Any] | None = None
        self.over = False

    def look(self) -> list[bytes]:
        """What is new since the last look."""
        with self._database.read() as session:
            job = session.scalar(select(Job).where(Job.id == self._job_id))
            if job is None:
                self.over = True
                return []
            if job.attempts != self._attempt:  # another run: its events begin anew
                self._attempt, self._counter = job.attempts, 0
            later = select(Event).where(Event.run_id == job.run_id, Event.counter > self._counter)
            events = session.scalars(later.order_by(Event.counter).limit(BATCH)).all()
            messages = [
                _message("event", view, f"{self._attempt}-{view['counter']}")
                for view in event_views(job, events, admin=self._admin)
            ]
            if events:
                self._counter = events[-1].counter
            view = job_views(session, [job], admin=self._admin)[0]
        if view != self._shown:
            self._shown = view
            messages.append(_message("job", view))
        self.over = job.state not in UNFINISHED and len(events) < BATCH
        return messages


@router.get("/jobs/{job_id}/follow", response_model=None)
async def follow_job(request: Request, job_id: str) -> StreamingResponse:
    follower = await run_in_threadpool(_begin, request, job_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(follower), media_type="text/event-stream", headers=headers)


def _begin(request: Request, job_id: str) -> Follower:
    with request_context(request, "operations:jobs:show", write=False) as context:
        visible_job(context, job_id)
        last = request.headers.get("last-event-id", "")
        return Follower(context.cloud.database, job_id, last, admin=context.is_admin)


async def _stream(follower: Follower) -> AsyncIterator[bytes]:
    spoken = time.monotonic()
    while True:
        messages = await run_in_threadpool(follower.look)
        if messages:
            spoken = time.monotonic()
            yield b"".join(messages)
        elif time.monotonic() - spoken > ALIVE_SECONDS:
            spoken = time.monotonic()
            yield b": still there\n\n"
        if follower.over:
            return
        await asyncio.sleep(LOOK_SECONDS)


def _message(kind: str, data: dict[str, Any], identifier: str | None = None) -> bytes:
    line = f"id: {identifier}\n" if identifier else ""
    return f"{line}event: {kind}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"

"""Runs schedules, in an API process: each time of a schedule is a request to the API, with its owner's current rights.

The API process that moves a schedule to its next time runs it. That move, the request's own changes, its jobs, its
audit record and its outcome are one transaction: each time runs exactly once or, while no API process exists, later.
Several missed times run once. A request that is more than a transaction (it runs Ansible itself, to find drift) is made
after the move was committed: it runs at most once.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from skywright.auth.credentials import Credentials
from skywright.auth.subject import Claims
from skywright.cloud import Cloud
from skywright.db import DatabaseUnavailable, new_hex, utcnow
from skywright.db.dry_run import SingleTransactionDatabase
from skywright.db.identity import Project, User
from skywright.db.jobs import UNFINISHED, Job
from skywright.db.schedules import Schedule, ScheduleRun
from skywright.http import audit
from skywright.http.loopback import Answer, scope_of, send_request
from skywright.redact import without_secrets
from skywright.services.operations.automation.timetable import BadTime, next_time

log = logging.getLogger(__name__)

RUNNING, ACCEPTED, FAILED, SKIPPED = "running", "accepted", "failed", "skipped"
RETRY_SECONDS = 1.0
AT_ONCE = 4
LONGEST = timedelta(minutes=30)  # after that, a request without a response was lost with its API process
TOKEN_LIFE = timedelta(minutes=10)
ANSWER_LIMIT = 8192
ERROR_LIMIT = 2000


@dataclass(frozen=True)
class Order:
    """A request of a schedule that is due."""

    schedule_id: str
    run_id: int
    request: dict[str, Any]  # service, method, path, body, headers
    token: str
    credentials: Credentials


@contextlib.asynccontextmanager
async def running(cloud: Cloud) -> AsyncIterator[None]:
    """Run schedules within the block."""
    scheduler = Scheduler(cloud, asyncio.get_running_loop())
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()


class Scheduler:
    """A thread of an API process that runs due schedules. *loop* is the event loop of the API."""

    def __init__(self, cloud: Cloud, loop: asyncio.AbstractEventLoop) -> None:
        self._cloud, self._loop = cloud, loop
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="schedule")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Start no further request."""
        self._stopping.set()
        self._thread.join(RETRY_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                self.tick(utcnow())
                pause = 60.0 - time.time() % 60.0  # cron expressions have whole minutes
            except Exception:
                log.exception("schedules cannot be checked; the next check follows")
                pause = RETRY_SECONDS

    def tick(self, now: datetime) -> None:
        """Run the schedules that are due at *now*."""
        with self._cloud.database.read() as session:
            due = session.scalars(select(Schedule.id).where(Schedule.next_at <= now).order_by(Schedule.next_at)).all()
            lost = ScheduleRun.state == RUNNING, ScheduleRun.started_at < now - 2 * LONGEST
            stale = session.scalar(select(ScheduleRun.id).where(*lost).limit(1))
        if stale is not None:
            with self._cloud.database.write() as session:
                reason = "There is no response: the API process has ended."
                values = {"state": FAILED, "error": reason, "finished_at": now}
                session.execute(update(ScheduleRun).where(*lost).values(values))
        for schedule_id in due:
            self._time(schedule_id, now)

    def _time(self, schedule_id: str, now: datetime) -> None:
        """Run a schedule that is due, unless another process has done it."""
        transaction = SingleTransactionDatabase(self._cloud.database)
        try:
            with transaction.write() as session:
                order = begin(session, self._cloud, schedule_id, now)
            if order is None:
                transaction.commit()
                return
            cloud = self._cloud.with_database(transaction)
            answer = asyncio.run(send_request(cloud, _scope(cloud, order, {"cloud": cloud}), _body(order)))
            if transaction.refused is None:
                jobs = [job.id for job in transaction.added(Job)]
                session.add(_record(order, answer, jobs))
                _conclude(session, order, answer, jobs, now)
            transaction.commit()
        except BaseException as error:
            transaction.roll_back()
            if isinstance(error, DatabaseUnavailable) or not isinstance(error, Exception):
                raise  # nothing was committed: the next check runs it
            log.exception("schedule %s: its time cannot be run", schedule_id)
            self._skip(schedule_id, now, f"It could not be run: {error}")
            return
        if transaction.refused is not None:
            self._pool.submit(self._send_outside_transaction, order)

    def _send_outside_transaction(self, order: Order) -> None:
        """Send the request outside of the transaction, because it is more than a transaction."""
        try:
            asked = send_request(self._cloud, _scope(self._cloud, order, {}), _body(order))
            answer = asyncio.run_coroutine_threadsafe(asked, self._loop).result(LONGEST.total_seconds())
            with self._cloud.database.write() as session:
                mine = select(Job.id).where(Job.request_id == answer.request_id).order_by(Job.sequence)
                _conclude(session, order, answer, list(session.scalars(mine)), utcnow())
        except Exception as error:
            log.exception("schedule %s: its request failed", order.schedule_id)
            with self._cloud.database.write() as session:
                run = session.get(ScheduleRun, order.run_id)
                if run is not None:
                    run.state, run.error, run.finished_at = FAILED, f"It could not be run: {error!r}", utcnow()

    def _skip(self, schedule_id: str, now: datetime, error: str) -> None:
        with self._cloud.database.write() as session:
            schedule = session.get(Schedule, schedule_id)
            if schedule is not None and schedule.next_at is not None and schedule.next_at <= now:
                _move(session, schedule, now, FAILED, error)


def begin(session: Session, cloud: Cloud, schedule_id: str, now: datetime) -> Order | None:
    """Move a schedule that is due to its next time; return the request to send, if there is one."""
    schedule = session.get(Schedule, schedule_id)
    if schedule is None or schedule.next_at is None or schedule.next_at > now:
        return None
    before = busy(session, schedule)
    if before is not None:
        _move(session, schedule, now, SKIPPED, f"The previous run has not ended: {before}.")
        return None
    claims = _claims(schedule)
    subject = cloud.tokens.subject(session, claims)
    request = cloud.secrets.open(schedule.sealed)
    if subject is None or request is None:
        reason = "its request was encrypted with another key" if subject else _missing_right(session, schedule)
        _move(session, schedule, now, FAILED, f"The request was not sent: {reason}.")
        return None
    run = _move(session, schedule, now, RUNNING)
    session.flush()
    return Order(schedule.id, run.id, orjson.loads(request), cloud.tokens.issue(claims), subject.credentials)


def busy(session: Session, schedule: Schedule) -> str | None:
    """Return what the schedule's previous run is waiting for, or None if it has ended."""
    mine = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id, ScheduleRun.state != SKIPPED)
    last = session.scalar(mine.order_by(ScheduleRun.id.desc()).limit(1))
    if last is None:
        return None
    if last.state == RUNNING:
        return "its request has no response yet"
    job = session.scalar(select(Job.id).where(Job.id.in_(last.jobs), Job.state.in_(UNFINISHED)).limit(1))
    return job and f"job {job} has not ended"


def _move(session: Session, schedule: Schedule, now: datetime, state: str, error: str | None = None) -> ScheduleRun:
    assert schedule.next_at is not None
    run = ScheduleRun(schedule_id=schedule.id, due_at=schedule.next_at, state=state, error=error, started_at=now)
    run.finished_at = None if state == RUNNING else now
    session.add(run)
    try:
        schedule.next_at = next_time(schedule.cron, schedule.timezone, now)
    except BadTime as unknown:  # the machine's time zone data has changed
        schedule.next_at, run.error = None, run.error or str(unknown)
    if error:
        log.warning("schedule %s: %s: %s", schedule.id, state, error)
    return run


def _claims(schedule: Schedule) -> Claims:
    now = utcnow()
    return Claims(
        user_id=schedule.user_id,
        audit_ids=(new_hex(),),
        issued_at=now,
        expires_at=now + TOKEN_LIFE,
        methods=("token",),
        project_id=schedule.project_id,
        trust_id=schedule.trust_id,
        application_credential_id=schedule.application_credential_id,
    )


def _missing_right(session: Session, schedule: Schedule) -> str:
    """Return the reason why the owner has no rights any more."""
    user, project = session.get(User, schedule.user_id), session.get(Project, schedule.project_id)
    if user is None or not user.enabled:
        return "its owner is disabled" if user else "its owner does not exist any more"
    if project is None or not project.enabled:
        return "its project is disabled" if project else "its project does not exist any more"
    if schedule.trust_id or schedule.application_credential_id:
        return "the credential of its creation is deleted, expired or without roles"
    return "its owner has no role in the project any more, or a domain is disabled"


def _scope(cloud: Cloud, order: Order, state: dict[str, Any]) -> dict[str, Any]:
    assert cloud.gateway is not None
    public = urlsplit(cloud.settings.public_url)
    origin = {
        "scheme": public.scheme,
        "client": (f"schedule:{order.schedule_id}", 0),
        "server": (public.hostname, None),
    }
    own = {name.lower(): value for name, value in order.request.get("headers", {}).items()}
    headers = {"content-type": "application/json", **own, "host": public.netloc, "x-auth-token": order.token}
    path = cloud.gateway.prefixes[order.request["service"]] + order.request["path"]
    return scope_of(origin, order.request["method"], path, headers, state)


def _body(order: Order) -> bytes:
    body = order.request.get("body")
    return b"" if body is None else orjson.dumps(body)


def _record(order: Order, answer: Answer, jobs: list[str]) -> Any:
    """Return the audit record of the request; its address names the schedule."""
    request = order.request
    path = urlsplit(request["path"]).path.rstrip("/") or "/"
    address = f"schedule:{order.schedule_id}"
    credentials = order.credentials
    pending = audit.PendingRecord(answer.request_id, request["service"], request["method"], path, address, credentials)
    pending.read({"body": request.get("body")})
    return pending.record(answer.status, jobs)


def _conclude(session: Session, order: Order, answer: Answer, jobs: list[str], now: datetime) -> None:
    run = session.get(ScheduleRun, order.run_id)
    if run is None:  # the schedule was deleted since
        return
    run.state, run.status, run.finished_at = ACCEPTED if answer.ok else FAILED, answer.status, now
    run.request_id, run.jobs = answer.request_id, jobs
    try:
        content = without_secrets(orjson.loads(answer.content)) if answer.content else None
    except orjson.JSONDecodeError:
        content = answer.content[:ERROR_LIMIT].decode(errors="replace")
    if not answer.ok:
        run.error = f"{answer.status}: {_message(content)}"[:ERROR_LIMIT]
    size = len(orjson.dumps(content))
    run.answer = content if size <= ANSWER_LIMIT else {"omitted_bytes": size}


def _message(content: Any) -> str:
    """Return the message of an error response of any service."""
    if isinstance(content, dict):
        found = content.get("message")
        return found if isinstance(found, str) else next((_message(value) for value in content.values()), "no reason")
    return str(content or "no reason was given")

"""The audit trail: one record for each request that changed something or was refused.

A change and its record are in one transaction: the first commit of a request also inserts the record. A request that
committed nothing (it was refused, failed, or only issued a token) is recorded afterwards, if possible.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel
from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from skywright.db import Database, utcnow
from skywright.db.operations import Audit
from skywright.jobs.engine.submit import QUEUED
from skywright.redact import selected

if TYPE_CHECKING:
    from skywright.auth.credentials import Credentials

log = logging.getLogger(__name__)

READS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_LIMIT = 8192
PATH_LIMIT = 1024
# Limits of the records that are written afterwards: how many may wait, and the interval.
WAITING_LIMIT = 200
PAUSE_SECONDS = 0.5


@dataclass
class PendingRecord:
    """The audit record of a request in progress. Its fields are set as they become known."""

    request_id: str
    service: str
    method: str
    path: str
    address: str | None
    token: "Credentials | None" = None
    bodies: list[Any] = field(default_factory=list)
    expected: int = 200
    recorded: int | None = None  # the status in the stored record

    def read(self, values: Mapping[str, Any]) -> None:
        """Take the request's body from the handler's *values*."""
        self.bodies = [value for value in values.values() if isinstance(value, BaseModel | dict)]

    def record(self, status: int, jobs: list[str]) -> Audit:
        return Audit(**self.columns(status, jobs))

    def columns(self, status: int, jobs: list[str]) -> dict[str, Any]:
        """Return the columns of the record."""
        token = self.token
        return {
            "at": utcnow(),
            "user_id": token and token.user_id,
            "user_name": token and token.user_name,
            "project_id": token and token.project_id,
            "token_audit_id": token and token.audit_id,
            "address": self.address,
            "request_id": self.request_id,
            "service": self.service,
            "method": self.method,
            "path": self.path[:PATH_LIMIT],
            "body": self._body(),
            "status": status,
            "jobs": jobs,
        }

    def _body(self) -> Any:
        """Return the body's fields without secrets; for a large body only its size."""
        content: dict[str, Any] = {}
        for body in self.bodies:
            if isinstance(body, BaseModel):
                body = body.model_dump(mode="json", by_alias=True, exclude_unset=True)  # noqa: PLW2901
            content |= body if isinstance(body, dict) else {"items": body}
        if not content:
            return None
        shown = selected(content)
        try:
            size = len(orjson.dumps(shown, option=orjson.OPT_NON_STR_KEYS))
        except TypeError:  # numbers beyond 64 bits, which the API cannot return either
            return {"omitted_bytes": len(json.dumps(shown))}
        return shown if size <= BODY_LIMIT else {"omitted_bytes": size}


_INSERT = insert(Audit)
_RECORDED = "audit_recorded"
_current: ContextVar[PendingRecord | None] = ContextVar("skywright_audit", default=None)


def pending_record(scope: MutableMapping[str, Any], request_id: str, service: str) -> PendingRecord | None:
    """Return the audit record of a new request; None if it only reads, or is a plan, which is rolled back."""
    if scope["method"] in READS or "cloud" in scope["state"]:
        return None
    address = (scope.get("client") or (None,))[0]
    path = scope["path"].removeprefix(scope.get("root_path", ""))  # also right on the service's own port
    return PendingRecord(request_id, service, scope["method"], path, address)


@contextmanager
def recording(pending: PendingRecord | None) -> Iterator[None]:
    """Within the block, the transactions of this task and of the threads that it waits for belong to *pending*."""
    token = _current.set(pending)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> PendingRecord | None:
    """Return the record of the current request, if the request is recorded."""
    return _current.get()


@event.listens_for(Session, "before_commit")
def _before_commit(session: Session) -> None:
    pending = _current.get()
    if pending is None or pending.recorded is not None or session.in_nested_transaction():
        return
    session.flush()
    jobs = [job.id for job in session.info.get(QUEUED, ())]
    # One statement: adding a row to the session takes several times as long.
    session.connection().execute(_INSERT, pending.columns(pending.expected, jobs))
    session.info[_RECORDED] = pending


@event.listens_for(Session, "after_commit")
def _after_commit(session: Session) -> None:
    pending: PendingRecord | None = session.info.pop(_RECORDED, None)
    if pending is not None:
        pending.recorded = pending.expected


class AuditWriter:
    """Records requests that committed nothing. A thread writes many records at once, so that refused requests cost
    little.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: queue.Queue[Audit] = queue.Queue(WAITING_LIMIT)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def add(self, pending: PendingRecord, status: int) -> None:
        """Record *pending*, answered with *status*, soon."""
        try:
            self._waiting.put_nowait(pending.record(status, []))
        except queue.Full:
            self.dropped += 1
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until all waiting records are written."""
        self._waiting.join()

    def _write(self) -> None:
        while True:
            records = [self._waiting.get()]
            time.sleep(PAUSE_SECONDS)
            while not self._waiting.empty():
                records.append(self._waiting.get_nowait())
            try:
                with self._database.write() as session:
                    session.add_all(records)
            except Exception:
                log.exception("%d requests are missing in the audit trail", len(records))
            for _ in records:
                self._waiting.task_done()
            if self.dropped:
                log.warning("%d requests are missing in the audit trail: too many requests were refused", self.dropped)
                self.dropped = 0

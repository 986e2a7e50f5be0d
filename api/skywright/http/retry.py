"""Retries of requests while the database is unavailable.

A request whose transaction was rolled back is repeated. If a commit is uncertain, the audit trail shows its result.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from skywright.db import Database, DatabaseUnavailable, utcnow
from skywright.db.database import RetryTimer
from skywright.db.dry_run import DryRunDatabase
from skywright.db.operations import Audit
from skywright.http import audit

# More than the longest request, and than any difference between the clocks of two machines.
RECENT = timedelta(hours=1)


def retry(database: Database, attempt: Callable[[], None], *, repeatable: bool) -> None:
    """Call *attempt*, again if the database becomes unavailable; raise DatabaseUnavailable after the time limit.

    *repeatable*: all effects of *attempt* are in one transaction of its own, so that it may be repeated if that fails.
    """
    timer = RetryTimer()
    while True:
        try:
            attempt()
            return
        except DatabaseUnavailable as error:
            if not repeatable or isinstance(database, DryRunDatabase):
                raise
            if error.uncertain and _was_committed(database, error, timer):
                return
            if not timer.wait():
                raise


def _was_committed(database: Database, error: DatabaseUnavailable, timer: RetryTimer) -> bool:
    """Return whether the request's transaction was committed, together with its audit record."""
    pending = audit.current()
    if pending is None:
        raise error
    query = select(Audit.sequence).where(Audit.at > utcnow() - RECENT, Audit.request_id == pending.request_id)
    found = None
    with suppress(DatabaseUnavailable), audit.recording(None), database.write(timer.remaining) as session:
        # With the write lock held, the uncertain transaction is committed or rolled back.
        found = session.scalars(query).all()
    if found is None:
        raise error
    if found:
        pending.recorded = pending.expected
        for callback in error.callbacks.values():
            callback()
    return bool(found)

"""Databases in which all write transactions of a request are one: rolled back (a dry run), or committed at the end.

What one write transaction of the request writes, the next one reads.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from skywright.db.database import TIMEOUT_SECONDS, Database
from skywright.errors import ApiError, BadRequest

Row = TypeVar("Row")
# A request that waits for its own job would wait for ever, and block all other writers.
LIMIT_SECONDS = 10.0


class _RolledBack(Exception):
    """Ends the transaction."""


class DryRunDatabase(Database):
    """*database* for a dry run. Its write lock is held from the first write until `roll_back`."""

    def __init__(self, database: Database) -> None:
        self.sqlite, self.engine = database.sqlite, database.engine
        self._database = database
        self._transaction = ExitStack()
        self._session: Session | None = None
        self._added: list[Any] = []
        self._deadline = time.monotonic() + LIMIT_SECONDS
        self.wrote = False
        self.refused: ApiError | None = None

    @contextmanager
    def read(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[Session]:
        self._check_deadline()
        if self._session is not None:
            yield self._session
            return
        with self._database.read(timeout) as session:
            yield session

    def release(self, session: Session) -> None:
        """End the read transaction of *session*, unless it is the common write transaction."""
        if session is not self._session:
            super().release(session)

    @contextmanager
    def write(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[Session]:
        """Open a savepoint of the common transaction. Its `after_commit` callbacks never run."""
        self._check_deadline()
        session = self._session or self._begin(timeout)
        try:
            with session.begin_nested():
                yield session
        finally:
            session.info.pop("after_commit", None)

    def added(self, kind: type[Row]) -> list[Row]:
        """Return the rows of *kind* that were inserted and not rolled back, in their order."""
        return [row for row in self._added if isinstance(row, kind) and inspect(row).persistent]

    def refuse(self, reason: str) -> NoReturn:
        """End a request that a dry run cannot do, with BadRequest."""
        self.refused = BadRequest(f"This request cannot be planned: {reason}")
        raise self.refused

    def roll_back(self) -> None:
        """Roll back everything and release the write lock."""
        with suppress(_RolledBack), self._transaction:
            raise _RolledBack

    def _check_deadline(self) -> None:
        if time.monotonic() > self._deadline:
            self.refuse("it takes too long.")

    def _begin(self, timeout: float) -> Session:
        self._session = self._transaction.enter_context(self._database.write(timeout))
        event.listen(self._session, "pending_to_persistent", lambda _session, row: self._added.append(row))
        event.listen(self._session.connection(), "after_cursor_execute", self._on_statement)
        return self._session

    def _on_statement(self, *execution: Any) -> None:
        context = execution[4]
        self.wrote = self.wrote or context.isinsert or context.isupdate or context.isdelete


class SingleTransactionDatabase(DryRunDatabase):
    """*database* in one transaction from the first write until `commit`: a request and its record are atomic."""

    @contextmanager
    def write(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[Session]:
        """Open a savepoint of the common transaction. An exception also drops its `after_commit` callbacks."""
        self._check_deadline()
        session = self._session or self._begin(timeout)
        callbacks = dict(session.info.get("after_commit", {}))
        try:
            with session.begin_nested():
                yield session
        except BaseException:
            session.info["after_commit"] = callbacks
            raise

    def refuse(self, reason: str) -> NoReturn:
        """End a request that is more than a transaction, with BadRequest."""
        self.refused = BadRequest(f"This request is not one transaction: {reason}")
        raise self.refused

    def commit(self) -> None:
        """Commit everything."""
        self._transaction.close()

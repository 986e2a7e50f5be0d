"""A rehearsal: a database that requests use as always, and that forgets what they did.

All of its writing transactions are one, which is never committed: what the first writes, the next one reads.
A `Joint` is the same, but for its end: there the one transaction is committed.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from skywright.db.database import PATIENCE, Database
from skywright.errors import ApiError, BadRequest

Row = TypeVar("Row")
# A request that waits for what it queued would wait for ever, and keep all other writers waiting.
LIMIT_SECONDS = 10.0


class _Forgotten(Exception):
    """Ends the transaction."""


class Rehearsal(Database):
    """*database*, rehearsed. Its write lock is held from the first write until `forget`, so that is to come soon."""

    def __init__(self, database: Database) -> None:
        self.sqlite, self.engine = database.sqlite, database.engine
        self._database = database
        self._transaction = ExitStack()
        self._session: Session | None = None
        self._stored: list[Any] = []
        self._end = time.monotonic() + LIMIT_SECONDS
        self.wrote = False
        self.refused: ApiError | None = None

    @contextmanager
    def read(self, patience: float = PATIENCE) -> Iterator[Session]:
        self._hurry()
        if self._session is not None:
            yield self._session
            return
        with self._database.read(patience) as session:
            yield session

    def release(self, session: Session) -> None:
        """What was written is to be read on: only before the first write there is something to let go."""
        if session is not self._session:
            super().release(session)

    @contextmanager
    def write(self, patience: float = PATIENCE) -> Iterator[Session]:
        """The one transaction; an exception takes back what was written since here. Nothing is told to anybody."""
        self._hurry()
        session = self._session or self._begin(patience)
        try:
            with session.begin_nested():
                yield session
        finally:
            session.info.pop("after_commit", None)

    def stored(self, kind: type[Row]) -> list[Row]:
        """The rows of *kind* that are new and not taken back, in the order in which they came."""
        return [row for row in self._stored if isinstance(row, kind) and inspect(row).persistent]

    def refuse(self, reason: str) -> NoReturn:
        """End a request that cannot be rehearsed."""
        self.refused = BadRequest(f"This request cannot be planned: {reason}")
        raise self.refused

    def forget(self) -> None:
        """Take back everything."""
        with suppress(_Forgotten), self._transaction:
            raise _Forgotten

    def _hurry(self) -> None:
        if time.monotonic() > self._end:
            self.refuse("it takes too long.")

    def _begin(self, patience: float) -> Session:
        self._session = self._transaction.enter_context(self._database.write(patience))
        event.listen(self._session, "pending_to_persistent", lambda _session, row: self._stored.append(row))
        event.listen(self._session.connection(), "after_cursor_execute", self._notice)
        return self._session

    def _notice(self, *execution: Any) -> None:
        context = execution[4]
        self.wrote = self.wrote or context.isinsert or context.isupdate or context.isdelete


class Joint(Rehearsal):
    """*database* in one transaction, from the first write until `keep`: a request, and what is recorded of it, happen
    together or not at all.
    """

    @contextmanager
    def write(self, patience: float = PATIENCE) -> Iterator[Session]:
        """The one transaction; an exception takes back what was written, and was to be told, since here."""
        self._hurry()
        session = self._session or self._begin(patience)
        calls = dict(session.info.get("after_commit", {}))
        try:
            with session.begin_nested():
                yield session
        except BaseException:
            session.info["after_commit"] = calls
            raise

    def refuse(self, reason: str) -> NoReturn:
        """End a request that is more than a transaction."""
        self.refused = BadRequest(f"This request is not one transaction: {reason}")
        raise self.refused

    def keep(self) -> None:
        """Commit everything."""
        self._transaction.close()

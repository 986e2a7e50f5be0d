"""The database: read and write transactions, and retries while the database is unavailable."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from skywright.backoff import Backoff
from skywright.db import mariadb
from skywright.db.base import parse_json
from skywright.db.durable import WriteAheadLog
from skywright.errors import Unavailable

Result = TypeVar("Result")
# How long a transaction waits for an unavailable database, and the pauses between attempts.
TIMEOUT_SECONDS = 10.0
RETRY = Backoff(0.05, 1.0)


class DatabaseUnavailable(Unavailable):
    """The database is unavailable. The transaction was rolled back or, if *uncertain*, maybe committed.

    If uncertain, `callbacks` are the callbacks that would have run after the commit.
    """

    def __init__(self, *, uncertain: bool = False, callbacks: dict[str, Callable[[], None]] | None = None) -> None:
        if uncertain:
            super().__init__("The database was lost during the commit. Check the result before you repeat the request.")
        else:
            super().__init__("The database is not available at the moment. Nothing was changed. Try again.")
        self.uncertain, self.callbacks = uncertain, callbacks or {}


class RetryTimer:
    """Pauses between attempts, with exponential backoff, until *timeout* seconds are over."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._deadline = time.monotonic() + timeout
        self._waits = 0

    @property
    def remaining(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def wait(self) -> bool:
        """Pause; return False at once if the time is over."""
        if not self.remaining:
            return False
        time.sleep(min(RETRY.pause(self._waits), self.remaining))
        self._waits += 1
        return True


class Database:
    """An engine, and its read and write transactions."""

    def __init__(self, url: str, read_timeout: int = mariadb.READ_TIMEOUT) -> None:
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite:
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine: Engine = create_engine(
                parsed, pool_size=8, max_overflow=40, hide_parameters=True, json_deserializer=parse_json
            )
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            self.engine = mariadb.make_engine(parsed, read_timeout)
        self._log = WriteAheadLog(parsed.database) if self.sqlite and parsed.database else None
        self._writer = self.engine.execution_options(write=True)
        # Writers wait for each other in the database, each with a connection, and on SQLite by polling with pauses up
        # to 0.1 s. Threads of one process wait at this lock instead.
        self._writing = Lock()

    @contextmanager
    def read(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[Session]:
        """Open a session that is rolled back at the end. Raises DatabaseUnavailable."""
        session = Session(self.engine, expire_on_commit=False)
        try:
            with self._database_errors():
                self._connect(session, timeout)
                yield session
        finally:
            _close(session)

    def release(self, session: Session) -> None:
        """End the read transaction of *session*; its next query begins another one.

        SQLite keeps all writes that come after the begin of a read transaction in its log, and scans them at each
        commit.
        """
        _close(session)

    @contextmanager
    def write(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[Session]:
        """Open a session that is committed at the end, or rolled back on an exception.

        Its `after_commit` callbacks run after the commit. Raises DatabaseUnavailable.
        """
        session = Session(self._writer, expire_on_commit=False)
        with self._write_lock(timeout):
            try:
                with self._database_errors():
                    self._connect(session, timeout)
                    yield session
                    session.flush()
                self._commit(session)
            finally:
                _close(session)  # before the next writer begins
        if self._log is not None:
            self._log.sync()
        for callback in session.info.pop("after_commit", {}).values():
            callback()

    def transact(
        self,
        function: Callable[[Session], Result],
        timeout: float = TIMEOUT_SECONDS,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Call *function* in a write transaction, again if the database becomes unavailable.

        A transaction that is repeated may have been committed already. *function* must detect that and do nothing then.
        """
        timer = RetryTimer(timeout)
        while True:
            try:
                with self.write(min(timer.remaining, TIMEOUT_SECONDS)) as session:
                    return function(session)
            except DatabaseUnavailable:
                if should_stop() or not timer.wait():
                    raise

    @contextmanager
    def _write_lock(self, timeout: float) -> Iterator[None]:
        if not self._writing.acquire(timeout=-1 if self.sqlite else timeout):
            raise DatabaseUnavailable()
        try:
            yield
        finally:
            self._writing.release()

    def _connect(self, session: Session, timeout: float) -> None:
        """Connect, and take the write lock, now, when an attempt can still be repeated."""
        if self.sqlite:
            return
        timer = RetryTimer(timeout)
        while True:
            try:
                session.connection()
                return
            except SQLAlchemyError as error:
                session.rollback()
                if not mariadb.is_transient(error) or not timer.wait():
                    raise

    def _commit(self, session: Session) -> None:
        try:
            session.commit()
        except SQLAlchemyError as error:
            if self.sqlite or not mariadb.is_transient(error):
                raise
            # A statement that is flushed during the commit fails before the COMMIT.
            sent = isinstance(error, DBAPIError) and not error.statement and mariadb.is_uncertain(error)
            raise DatabaseUnavailable(uncertain=sent, callbacks=session.info.get("after_commit")) from error

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if self.sqlite or not mariadb.is_transient(error):
                raise
            raise DatabaseUnavailable() from error


def _close(session: Session) -> None:
    """Close *session*. Its transaction has ended, so a lost connection does not matter any more."""
    try:
        session.close()
    except SQLAlchemyError:
        session.invalidate()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is sent by _sqlite_begin
    # WriteAheadLog makes commits durable. A small cache for each connection is enough: the page cache is behind it.
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=15000", "cache_size=-1000")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # A write transaction takes the lock at BEGIN: to upgrade a read lock later can fail with SQLITE_BUSY.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

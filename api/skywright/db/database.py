"""The database handle: reading and writing transactions, and what becomes of them while the database is away."""

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
from skywright.db.base import Base
from skywright.db.durable import Log
from skywright.db.write_lock import make_lock_row
from skywright.errors import Unavailable

Result = TypeVar("Result")
# How long a transaction waits for a database that is away, and how long between two tries.
PATIENCE = 10.0
RETRY = Backoff(0.05, 1.0)


class Outage(Unavailable):
    """The database was lost; nothing of the transaction took place, or it is *uncertain* whether all of it did.

    Of an uncertain one, `calls` are what would have been called after the commit.
    """

    def __init__(self, *, uncertain: bool = False, calls: dict[str, Callable[[], None]] | None = None) -> None:
        if uncertain:
            super().__init__("The database was lost in the last moment: look whether it was done before you repeat it.")
        else:
            super().__init__("The database is not available at the moment; nothing was changed. Try again.")
        self.uncertain, self.calls = uncertain, calls or {}


class Pauses:
    """Waiting longer and longer, until *patience* is at its end."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._end = time.monotonic() + patience
        self._waits = 0

    @property
    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def wait(self) -> bool:
        """Wait; False, at once, if there is no more patience."""
        if not self.left:
            return False
        time.sleep(min(RETRY.pause(self._waits), self.left))
        self._waits += 1
        return True


class Database:
    """An engine and its two kinds of transactions."""

    def __init__(self, url: str, answer_seconds: int = mariadb.ANSWER_SECONDS) -> None:
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite:
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine: Engine = create_engine(parsed, pool_size=8, max_overflow=40, hide_parameters=True)
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            self.engine = mariadb.make_engine(parsed, answer_seconds)
        self._log = Log(parsed.database) if self.sqlite and parsed.database else None
        self._writer = self.engine.execution_options(write=True)
        # Writers wait for each other in the database, each with a connection, and on SQLite by polling with pauses
        # up to 0.1 s: threads of one process queue here instead.
        self._turn = Lock()

    @contextmanager
    def read(self, patience: float = PATIENCE) -> Iterator[Session]:
        """A session whose changes are thrown away; an Outage if the database is, or goes, away."""
        session = Session(self.engine, expire_on_commit=False)
        try:
            with self._outages():
                self._connect(session, patience)
                yield session
        finally:
            _close(session)

    def release(self, session: Session) -> None:
        """End what *session* reads now; it may go on to read what is there then.

        Whoever reads while he writes has SQLite keep all that was written meanwhile in its log, and look through it at
        every commit.
        """
        _close(session)

    @contextmanager
    def write(self, patience: float = PATIENCE) -> Iterator[Session]:
        """A session committed at the end, rolled back on an exception; then its `after_commit` calls run.

        An Outage if the database is, or goes, away.
        """
        session = Session(self._writer, expire_on_commit=False)
        with self._taking_turns(patience):
            try:
                with self._outages():
                    self._connect(session, patience)
                    yield session
                    session.flush()
                self._commit(session)
            finally:
                _close(session)  # before it is another's turn
        if self._log is not None:
            self._log.sync()
        for call in session.info.pop("after_commit", {}).values():
            call()

    def transact(
        self,
        work: Callable[[Session], Result],
        patience: float = PATIENCE,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Do *work* in a writing transaction, again if the database goes away; a commit may turn out to be done before.

        So *work* must find that out, and do nothing the second time.
        """
        pauses = Pauses(patience)
        while True:
            try:
                with self.write(min(pauses.left, PATIENCE)) as session:
                    return work(session)
            except Outage:
                if given_up() or not pauses.wait():
                    raise

    def create_all(self) -> None:
        """Make all tables at once: what tests use in place of the migrations."""
        with self.engine.begin() as connection:
            if not self.sqlite:
                mariadb.set_collation(connection)
            Base.metadata.create_all(connection)
            make_lock_row(connection)

    @contextmanager
    def _taking_turns(self, patience: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=-1 if self.sqlite else patience):
            raise Outage()
        try:
            yield
        finally:
            self._turn.release()

    def _connect(self, session: Session, patience: float) -> None:
        """Have the connection, and the writers' lock, now: nothing is lost yet by trying again."""
        if self.sqlite:
            return
        pauses = Pauses(patience)
        while True:
            try:
                session.connection()
                return
            except SQLAlchemyError as error:
                session.rollback()
                if not mariadb.transient(error) or not pauses.wait():
                    raise

    def _commit(self, session: Session) -> None:
        try:
            session.commit()
        except SQLAlchemyError as error:
            if self.sqlite or not mariadb.transient(error):
                raise
            # What is flushed during the commit has a statement.
            sent = isinstance(error, DBAPIError) and not error.statement and mariadb.uncertain(error)
            raise Outage(uncertain=sent, calls=session.info.get("after_commit")) from error

    @contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if self.sqlite or not mariadb.transient(error):
                raise
            raise Outage() from error


def _close(session: Session) -> None:
    """Let go of the connection; what came of the transaction stands, even if the server is lost by now."""
    try:
        session.close()
    except SQLAlchemyError:
        session.invalidate()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: see _sqlite_begin
    # Commits are made durable by Log. A small cache for each connection: the system's, which all share, is behind it.
    pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=15000", "cache_size=-1000")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: upgrading later can fail with SQLITE_BUSY.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

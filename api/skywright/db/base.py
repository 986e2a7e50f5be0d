"""The declarative base, column types and the database handle shared by every table."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import JSON, Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.orm import DeclarativeBase, Session

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, list[str]: JSON}


def new_uuid() -> str:
    """A dashed UUID, the id of compute, network, image and job resources."""
    return str(uuid.uuid4())


def new_hex() -> str:
    """A 32-digit UUID without dashes, the id of identity resources."""
    return uuid.uuid4().hex


def utcnow() -> datetime:
    """Now, as naive UTC: what the database stores."""
    return datetime.now(UTC).replace(tzinfo=None)


def isoformat(moment: datetime | None, *, micro: bool = False) -> str | None:
    """`2026-11-20T10:00:00Z`; with *micro*, Keystone's form with six decimals."""
    if moment is None:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: see _sqlite_begin
    # A small cache for each connection: the system's page cache, which all share, is behind it.
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000", "cache_size=-1000")
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: upgrading later can fail with SQLITE_BUSY.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class Database:
    """An engine and its two kinds of transactions."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite:
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine: Engine = create_engine(parsed, pool_size=8, max_overflow=40, hide_parameters=True)
            event.listen(self.engine, "connect", _sqlite_connect)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            self.engine = create_engine(
                parsed, pool_pre_ping=True, pool_size=16, pool_recycle=600, hide_parameters=True
            )
        self._writer = self.engine.execution_options(write=True)
        # SQLite has waiting writers poll, with pauses up to 0.1 s: threads of one process queue here instead.
        self._turn: AbstractContextManager[Any] = Lock() if self.sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose changes are thrown away."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session committed at the end, rolled back on an exception; then its `after_commit` calls run."""
        with Session(self._writer, expire_on_commit=False) as session:
            with self._turn, session.begin():
                yield session
            for call in session.info.pop("after_commit", {}).values():
                call()

    def create_all(self) -> None:
        """Make all tables at once: what tests use in place of the migrations."""
        Base.metadata.create_all(self.engine)


def after_commit(session: Session, key: str, call: Callable[[], None]) -> None:
    """Run *call* once after *session*'s transaction is durable; the same *key* runs once."""
    session.info.setdefault("after_commit", {})[key] = call

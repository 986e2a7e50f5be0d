"""MariaDB made to behave as SQLite does: exact strings, full timestamps, wide numbers, one writer at a time."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Double,
    Engine,
    ExceptionContext,
    Float,
    Integer,
    Text,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.compiler import compiles

DRIVER = "mariadb+pymysql"
BACKENDS = ("mariadb", "mysql")
CONNECT_SECONDS = 5
LOCK_SECONDS = 15  # as SQLite's busy_timeout
ANSWER_SECONDS = 60  # a server that is there and says nothing
# A transaction that changed something and then pauses for longer is rolled back: whoever holds the writers' lock and is
# frozen, or cut off, must not keep all others waiting.
IDLE_SECONDS = 3
# A host that went without a word: asked after so many seconds, so often, before its connections are given up. If
# another one has its address by then, the first question ends them.
SILENT_SECONDS, SILENT_PROBES = 1, 4
MIGRATION_SECONDS = 3600
# Strings are equal only if they are the same, trailing spaces included, and sort by code point.
CHARSET, COLLATION = "utf8mb4", "utf8mb4_nopad_bin"
SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
WHICH_NODE = "SHOW STATUS LIKE 'wsrep_gcomm_uuid'"  # another one after each start
TAKE_LOCK = "UPDATE write_lock SET number = number + 1 WHERE id = 1"

# Errors after which the server has rolled back the transaction, or may have: trying it again may help.
DEADLOCK, LOCK_WAIT = 1213, 1205
CONFLICTS = frozenset({DEADLOCK, LOCK_WAIT, 1020})
# Errors of a server that is not there, is going, or is not (yet, any more) one to write to.
OUTAGES = frozenset({0, 1040, 1047, 1053, 1077, 1152, 1156, 1159, 1184, 1290, 1836, 1927})
OUTAGES |= frozenset({2002, 2003, 2006, 2013, 2014, 2055, 4031})
OUTAGES |= frozenset({1021, 1114})  # no room, which another node of a cluster may have


@compiles(DateTime, *BACKENDS)
def _datetime(_type: DateTime, _compiler: Any, **_options: Any) -> str:
    return "DATETIME(6)"


@compiles(Text, *BACKENDS)
def _text(_type: Text, _compiler: Any, **_options: Any) -> str:
    return "MEDIUMTEXT"  # TEXT ends at 64 KiB


@compiles(Float, *BACKENDS)
@compiles(Double, *BACKENDS)
def _float(_type: Float[Any], _compiler: Any, **_options: Any) -> str:
    return "DOUBLE"


@compiles(Integer, *BACKENDS)
def _integer(_type: Integer, _compiler: Any, **_options: Any) -> str:
    return "BIGINT"


def make_engine(url: URL, answer_seconds: int = ANSWER_SECONDS) -> Engine:
    """An engine whose transactions see one moment, and whose writing ones go one after the other."""
    # Who keeps to SQLite need not load the driver.
    from pymysql.constants import FIELD_TYPE  # noqa: PLC0415
    from pymysql.converters import conversions  # noqa: PLC0415

    engine = create_engine(
        url.set(drivername=DRIVER),
        connect_args={
            "conv": {**conversions, FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number},
            "charset": CHARSET,
            "collation": COLLATION,
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": answer_seconds,
            "write_timeout": answer_seconds,
            "init_command": f"SET SESSION sql_mode='{SQL_MODE}', innodb_lock_wait_timeout={LOCK_SECONDS},"
            f" idle_write_transaction_timeout={IDLE_SECONDS}",
        },
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,
        pool_size=16,
        max_overflow=32,
        pool_recycle=60,  # a balancer that was replaced keeps what it had, also when the writer moves
        enable_from_linting=False,  # it takes a join on a parameter for none, here only
        hide_parameters=True,
    )
    event.listen(engine, "connect", _notice_silence)
    node = _Node()
    event.listen(engine, "connect", node.meet)
    event.listen(engine, "invalidate", node.lose)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _doom)
    return engine


def _notice_silence(connection: Any, _record: Any) -> None:
    """Have the system find out that the other side is gone, which it else does after two hours."""
    tcp = connection._sock
    if tcp.family != socket.AF_UNIX:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENT_SECONDS)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, SILENT_SECONDS)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, SILENT_PROBES)


class _Node:
    """The node of a Galera cluster that serves us: one at a time does.

    Reads there see all writes, which are made there, too; only another node may not have applied yet what the former
    one acknowledged. So the first of its connections waits for that, and no read afterwards has to ask the whole
    cluster, which has no answer while it finds out that one of its nodes is gone.

    When the address that we reach it by moves, our connections are lost, but what was between does not tell the node.
    So the next connection ends what the lost ones did there: that may keep the writers' lock.
    """

    def __init__(self) -> None:
        self._last = ""  # without a cluster it stays so
        self._lost: deque[tuple[str, int]] = deque()  # threads of nodes

    def meet(self, connection: Any, record: Any) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION wsrep_sync_wait = 0")
            cursor.execute(WHICH_NODE)
            _, node = cursor.fetchone() or ("", "")
            if node != self._last:
                cursor.execute("SET SESSION wsrep_sync_wait = 1")
                cursor.execute("SELECT 1")
                cursor.execute("SET SESSION wsrep_sync_wait = 0")
                self._last = node
            record.info["node"] = node
            self._end_lost(connection, cursor, node)

    def lose(self, connection: Any, record: Any, _error: Any) -> None:
        if record.info.get("node"):
            self._lost.append((record.info["node"], connection.thread_id()))

    def _end_lost(self, connection: Any, cursor: Any, node: str) -> None:
        with suppress(IndexError):
            while True:
                owner, thread = self._lost.popleft()
                if owner == node:
                    with suppress(connection.Error):  # it has ended
                        cursor.execute(f"KILL {thread}")


def _number(text: str) -> float:
    """A sum, which is an int for ints, as on SQLite."""
    return float(text) if "." in text else int(text)


def _begin(connection: Connection) -> None:
    """Who writes takes the lock row first, before the transaction's moment is set by what it reads.

    The row is changed, not only locked: so a Galera cluster lets only one of two nodes' writers through, too.
    """
    write = connection.get_execution_options().get("write", False)
    if write and not connection.exec_driver_sql(TAKE_LOCK).rowcount:
        raise RuntimeError("The row that writers lock is missing: the database was not brought up to date.")


def _doom(context: ExceptionContext) -> None:
    """A transaction that the server rolled back must not go on as another one: give up its connection."""
    code = error_code(context.original_exception)
    if code in CONFLICTS:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
    elif code in OUTAGES:
        context.is_disconnect = True


def error_code(error: BaseException | None) -> int | None:
    """The server's or the driver's number of *error*."""
    arguments = getattr(error, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def transient(error: BaseException) -> bool:
    """Whether *error* says nothing about the statement: it would have worked at another time."""
    return isinstance(error, PendingRollbackError) or lost(error)


def lost(error: BaseException) -> bool:
    """Whether *error* is the one that took the transaction with it; those that follow are `PendingRollbackError`s."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or error_code(error.orig) in CONFLICTS | OUTAGES


def uncertain(error: DBAPIError) -> bool:
    """Whether *error*, of a COMMIT, leaves open whether it took place."""
    return error_code(error.orig) not in CONFLICTS


def set_collation(connection: Connection) -> None:
    """Let tables that are made from now on compare strings exactly."""
    if connection.scalar(text("SELECT @@collation_database")) != COLLATION:
        connection.execute(text(f"ALTER DATABASE CHARACTER SET {CHARSET} COLLATE {COLLATION}"))


@contextmanager
def migration_lock(url: URL) -> Iterator[None]:
    """Held by one process at a time, and given up by one that dies: a locked row of a table of its own.

    The server's named locks would do on one server, but a cluster does not share them.
    """
    engine = make_engine(url, MIGRATION_SECONDS)
    try:
        with engine.begin() as connection:
            set_collation(connection)  # now, for it waits for all who use the database: us, too
            connection.execute(text("CREATE TABLE IF NOT EXISTS migration_lock (id INTEGER PRIMARY KEY) ENGINE=InnoDB"))
            connection.execute(text("INSERT IGNORE INTO migration_lock VALUES (1)"))
        with engine.begin() as connection:
            connection.execute(
                text(
                    f"SET SESSION innodb_lock_wait_timeout={MIGRATION_SECONDS},"
                    f" idle_write_transaction_timeout={MIGRATION_SECONDS}"
                )
            )
            connection.execute(text("SELECT id FROM migration_lock WHERE id = 1 FOR UPDATE"))
            yield
    finally:
        engine.dispose()

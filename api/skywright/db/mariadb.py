"""MariaDB with the behaviour of SQLite: exact strings, microseconds, wide integers, one writer at a time."""

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

from skywright.db.base import parse_json

DRIVER = "mariadb+pymysql"
BACKENDS = ("mariadb", "mysql")
CONNECT_SECONDS = 5
LOCK_SECONDS = 15  # the same as SQLite's busy_timeout
READ_TIMEOUT = 60  # for a server that is connected but does not answer
# The server rolls back a transaction that changed something and is idle for longer: a client that is frozen or cut off
# must not keep the write lock.
IDLE_SECONDS = 3
# TCP keepalive: interval and number of probes until the connections of a dead host are closed. If another host has its
# address by then, the first probe resets them.
KEEPALIVE_SECONDS, KEEPALIVE_PROBES = 1, 4
MIGRATION_SECONDS = 3600
# Strings are equal only if all bytes are, trailing spaces included, and sort by code point.
CHARSET, COLLATION = "utf8mb4", "utf8mb4_nopad_bin"
SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
NODE_ID_QUERY = "SHOW STATUS LIKE 'wsrep_gcomm_uuid'"  # another id after each start of the node
TAKE_LOCK = "UPDATE write_lock SET number = number + 1 WHERE id = 1"

# Errors after which the server has rolled back the transaction, or may have: another attempt may succeed.
DEADLOCK, LOCK_WAIT = 1213, 1205
CONFLICTS = frozenset({DEADLOCK, LOCK_WAIT, 1020})
# Errors of a server that is gone, stops, or does not accept writes (yet, or any more).
UNAVAILABLE = frozenset({0, 1040, 1047, 1053, 1077, 1152, 1156, 1159, 1184, 1290, 1836, 1927})
UNAVAILABLE |= frozenset({2002, 2003, 2006, 2013, 2014, 2055, 4031})
UNAVAILABLE |= frozenset({1180})  # COMMIT on a node that has lost the cluster's majority
UNAVAILABLE |= frozenset({1021, 1114})  # disk full: another node of the cluster may have room


@compiles(DateTime, *BACKENDS)
def _datetime(_type: DateTime, _compiler: Any, **_options: Any) -> str:
    return "DATETIME(6)"


@compiles(Text, *BACKENDS)
def _text(_type: Text, _compiler: Any, **_options: Any) -> str:
    return "MEDIUMTEXT"  # TEXT is limited to 64 KiB


@compiles(Float, *BACKENDS)
@compiles(Double, *BACKENDS)
def _float(_type: Float[Any], _compiler: Any, **_options: Any) -> str:
    return "DOUBLE"


@compiles(Integer, *BACKENDS)
def _integer(_type: Integer, _compiler: Any, **_options: Any) -> str:
    return "BIGINT"


def make_engine(url: URL, read_timeout: int = READ_TIMEOUT) -> Engine:
    """Make an engine with snapshot reads, and with writers that wait for each other."""
    # Not loaded with SQLite.
    from pymysql.constants import FIELD_TYPE  # noqa: PLC0415
    from pymysql.converters import conversions  # noqa: PLC0415

    engine = create_engine(
        url.set(drivername=DRIVER),
        connect_args={
            "conv": {**conversions, FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number},
            "charset": CHARSET,
            "collation": COLLATION,
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": read_timeout,
            "write_timeout": read_timeout,
            "init_command": f"SET SESSION sql_mode='{SQL_MODE}', innodb_lock_wait_timeout={LOCK_SECONDS},"
            f" idle_write_transaction_timeout={IDLE_SECONDS}",
        },
        isolation_level="REPEATABLE READ",
        pool_pre_ping=True,
        pool_size=16,
        max_overflow=32,
        pool_recycle=60,  # a balancer that was replaced keeps its old connections, also when the writer moves
        enable_from_linting=False,  # false alarms for joins on parameters
        hide_parameters=True,
        json_deserializer=parse_json,
    )
    event.listen(engine, "connect", _set_keepalive)
    node = _GaleraNode()
    event.listen(engine, "connect", node.on_connect)
    event.listen(engine, "invalidate", node.on_invalidate)
    event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", _on_error)
    return engine


def _set_keepalive(connection: Any, _record: Any) -> None:
    """Enable TCP keepalive with short intervals; the system's default is two hours."""
    tcp = connection._sock
    if tcp.family != socket.AF_UNIX:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


class _GaleraNode:
    """The node of a Galera cluster that this process is connected to; all connections lead to the same one.

    Reads on that node see all its writes. Only after a switch to another node, it may not have applied yet what the
    former node acknowledged: the first connection to a node waits for that (`wsrep_sync_wait`). Later reads need not
    ask the cluster, which does not answer while it detects a dead node.

    When the virtual address moves, the connections are lost, but the balancer that vanished does not close them on the
    node. The next connection therefore kills their threads, which may hold the write lock.
    """

    def __init__(self) -> None:
        self._last = ""  # stays empty without a cluster
        self._lost: deque[tuple[str, int]] = deque()  # (node, thread id)

    def on_connect(self, connection: Any, record: Any) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION wsrep_sync_wait = 0")
            cursor.execute(NODE_ID_QUERY)
            _, node = cursor.fetchone() or ("", "")
            if node != self._last:
                cursor.execute("SET SESSION wsrep_sync_wait = 1")
                cursor.execute("SELECT 1")
                cursor.execute("SET SESSION wsrep_sync_wait = 0")
                self._last = node
            record.info["node"] = node
            self._kill_lost_threads(connection, cursor, node)

    def on_invalidate(self, connection: Any, record: Any, _error: Any) -> None:
        if record.info.get("node"):
            self._lost.append((record.info["node"], connection.thread_id()))

    def _kill_lost_threads(self, connection: Any, cursor: Any, node: str) -> None:
        with suppress(IndexError):
            while True:
                owner, thread = self._lost.popleft()
                if owner == node:
                    with suppress(connection.Error):  # the thread has ended
                        cursor.execute(f"KILL {thread}")


def _number(text: str) -> float:
    """Convert a SUM to int or float, as on SQLite."""
    return float(text) if "." in text else int(text)


def _on_begin(connection: Connection) -> None:
    """Take the lock row at the begin of a write transaction, before its snapshot is made.

    The row is updated, not only locked: a Galera cluster detects the conflict between writers on two nodes.
    """
    write = connection.get_execution_options().get("write", False)
    if write and not connection.exec_driver_sql(TAKE_LOCK).rowcount:
        raise RuntimeError("The table write_lock has no row: the database was not migrated.")


def _on_error(context: ExceptionContext) -> None:
    """Invalidate the connection of a transaction that the server rolled back, so that it is not continued."""
    code = error_code(context.original_exception)
    if code in CONFLICTS:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
    elif code in UNAVAILABLE:
        context.is_disconnect = True


def error_code(error: BaseException | None) -> int | None:
    """Return the error number of the server or of the driver."""
    arguments = getattr(error, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def is_transient(error: BaseException) -> bool:
    """Return whether *error* is independent of the statement, so that another attempt may succeed."""
    return isinstance(error, PendingRollbackError) or ended_transaction(error)


def ended_transaction(error: BaseException) -> bool:
    """Return whether *error* ended the transaction. SQLAlchemy raises `PendingRollbackError` for later statements."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or error_code(error.orig) in CONFLICTS | UNAVAILABLE


def is_uncertain(error: DBAPIError) -> bool:
    """Return whether it is unknown after *error*, of a COMMIT, whether the transaction was committed."""
    return error_code(error.orig) not in CONFLICTS


def set_collation(connection: Connection) -> None:
    """Set the collation of new tables, so that strings are compared exactly."""
    if connection.scalar(text("SELECT @@collation_database")) != COLLATION:
        connection.execute(text(f"ALTER DATABASE CHARACTER SET {CHARSET} COLLATE {COLLATION}"))


@contextmanager
def migration_lock(url: URL) -> Iterator[None]:
    """Hold a lock that one process has at a time and that ends with the process: a locked row in its own table.

    MariaDB's named locks (GET_LOCK) are not shared in a Galera cluster.
    """
    engine = make_engine(url, MIGRATION_SECONDS)
    try:
        with engine.begin() as connection:
            set_collation(connection)  # before the lock: it waits for all other transactions, also our own
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

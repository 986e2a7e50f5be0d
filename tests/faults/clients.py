"""Clients that write to lists and registers like the API writes to its tables, and record all answers."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from faults.crowd import Crowd
from faults.history import Operation, Outcome, Seen
from skywright.db.mariadb import is_uncertain, make_engine

LISTS = tuple(f"list-{number}" for number in range(4))
REGISTERS = tuple(f"register-{number}" for number in range(3))
APPENDERS, SWAPPERS = 4, 4
PAUSE = 0.02
# A client that waited longer for one answer would miss the faults.
PATIENCE = 15
TABLES = [
    # The API's writers change its row first.
    "CREATE TABLE write_lock (id INT PRIMARY KEY, number BIGINT NOT NULL)",
    "INSERT INTO write_lock VALUES (1, 0)",
    "CREATE TABLE lists (name VARCHAR(32) PRIMARY KEY, elements MEDIUMTEXT NOT NULL)",
    "CREATE TABLE registers (name VARCHAR(32) PRIMARY KEY, version BIGINT NOT NULL, value VARCHAR(32))",
    *(f"INSERT INTO lists VALUES ('{name}', '')" for name in LISTS),
    *(f"INSERT INTO registers VALUES ('{name}', 0, NULL)" for name in REGISTERS),
]


@dataclass
class Attempt:
    """The progress of a transaction."""

    seen: Seen | None = None
    wrote: bool = False


def seen_list(connection: Connection, name: str) -> Seen:
    elements = connection.exec_driver_sql("SELECT elements FROM lists WHERE name = %s", (name,)).scalar_one()
    return Seen.of_list(elements.split())


def seen_register(connection: Connection, name: str) -> Seen:
    row = connection.exec_driver_sql("SELECT version, value FROM registers WHERE name = %s", (name,)).one()
    return Seen(row.version, row.value)


def append(connection: Connection, name: str, element: str, attempt: Attempt) -> None:
    attempt.seen = seen_list(connection, name)
    connection.exec_driver_sql("UPDATE lists SET elements = CONCAT(elements, %s, ' ') WHERE name = %s", (element, name))
    attempt.wrote = True


def swap(connection: Connection, name: str, value: str, attempt: Attempt) -> None:
    """Compare and set: write if no other client has written since the read."""
    attempt.seen = seen_register(connection, name)
    swapped = connection.exec_driver_sql(
        "UPDATE registers SET version = version + 1, value = %s WHERE name = %s AND version = %s",
        (value, name, attempt.seen.count),
    )
    attempt.wrote = swapped.rowcount == 1


def read_list(connection: Connection, name: str, _element: str, attempt: Attempt) -> None:
    attempt.seen = seen_list(connection, name)


def read_register(connection: Connection, name: str, _value: str, attempt: Attempt) -> None:
    attempt.seen = seen_register(connection, name)


class Clients(Crowd):
    """Some clients append to lists, in transactions with the API's write lock; others swap registers without a lock."""

    def __init__(self, url: str) -> None:
        super().__init__([self._use_lists] * APPENDERS + [self._use_registers] * SWAPPERS, PAUSE, 4 * PATIENCE)
        self._engine = make_engine(make_url(url), PATIENCE)
        self.operations: list[Operation] = []
        self._numbers = itertools.count(1)

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._engine.dispose()

    def final(self) -> dict[str, Seen]:
        """Return the final states; call this when no client is running any more."""
        with self._engine.connect() as connection:
            lists = {name: seen_list(connection, name) for name in LISTS}
            return lists | {name: seen_register(connection, name) for name in REGISTERS}

    def _use_lists(self) -> None:
        name = random.choice(LISTS)
        if random.random() < 0.3:
            self._do(read_list, name, write=False)
        else:
            self._do(append, name, write=True)

    def _use_registers(self) -> None:
        name = random.choice(REGISTERS)
        self._do(read_register if random.random() < 0.3 else swap, name, write=False)

    def _do(self, work: Callable[[Connection, str, str, Attempt], None], name: str, *, write: bool) -> None:
        """Run one transaction; before its COMMIT is sent, it cannot have an effect."""
        element, attempt, began = f"e{next(self._numbers)}", Attempt(), time.monotonic()
        outcome, committing = Outcome.REFUSED, False
        try:
            with self._engine.connect().execution_options(write=write) as connection:
                work(connection, name, element, attempt)
                committing = True
                connection.commit()
                outcome = Outcome.DONE
        except DBAPIError as error:
            if committing and is_uncertain(error):
                outcome = Outcome.UNKNOWN
        wrote = element if attempt.wrote else None
        self.operations.append(Operation(name, began, time.monotonic(), outcome, attempt.seen, wrote))

"""Making SQLite's commits durable, many at once.

A commit only appends to the write-ahead log. Here the log is put on the disk, by one thread for all that committed
before it began. The log is one sequence: what another process commits, having seen these commits, comes behind them.
"""

import itertools
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock


class Log:
    """The write-ahead log of the database *file*."""

    def __init__(self, file: str) -> None:
        self._path = Path(f"{file}-wal")
        self._turn = Lock()
        self._numbers = itertools.count(1)
        self._taken = self._durable = 0

    def sync(self) -> None:
        """Return when what this thread has committed is durable."""
        self._taken = mine = next(self._numbers)
        with self._turn:
            if self._durable >= mine:  # another one's turn came after our commit
                return
            reached = self._taken
            # Without a log all of it is in the database, which is durable before the log goes.
            with suppress(FileNotFoundError), self._path.open("rb") as log:
                os.fdatasync(log.fileno())
            self._durable = reached

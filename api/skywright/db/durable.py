"""Group commit for SQLite: one fdatasync makes the commits of many threads durable.

A commit only appends to the write-ahead log. One thread then syncs the log for all commits that came before. The log is
sequential: commits of other processes that saw these commits come after them in the log.
"""

import itertools
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock


class WriteAheadLog:
    """The write-ahead log of the database *file*."""

    def __init__(self, file: str) -> None:
        self._path = Path(f"{file}-wal")
        self._lock = Lock()
        self._numbers = itertools.count(1)
        self._latest = self._durable = 0

    def sync(self) -> None:
        """Return when the commits of this thread are durable."""
        self._latest = mine = next(self._numbers)
        with self._lock:
            if self._durable >= mine:  # another thread synced the log after our commit
                return
            reached = self._latest
            # The log is removed only after all of it is durable in the database file.
            with suppress(FileNotFoundError), self._path.open("rb") as log:
                os.fdatasync(log.fileno())
            self._durable = reached

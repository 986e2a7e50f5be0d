"""SQLite's commits are durable when they return, and share one wait for the disk."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from databases import make_tables
from skywright.db import Database, after_commit
from skywright.db import durable as module
from skywright.db.jobs import Run

WRITERS = 8


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    make_tables(database)
    yield database
    database.engine.dispose()


class Disk:
    """Replaces fdatasync: it counts the calls, and blocks while it is closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.asked, self.syncs = threading.Event(), threading.Event(), 0
        self._real = os.fdatasync
        monkeypatch.setattr(module.os, "fdatasync", self._sync)

    def _sync(self, descriptor: int) -> None:
        self.syncs += 1
        self.asked.set()
        assert self.open.wait(10)
        self._real(descriptor)


def add(database: Database, number: int) -> None:
    with database.write() as session:
        session.add(Run(id=str(number), playbook="host", worker="test"))


def committed(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Run)) or 0


def test_commits_share_one_wait_for_the_disk(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    threads = [threading.Thread(target=add, args=(database, number)) for number in range(WRITERS)]
    threads[0].start()
    assert disk.asked.wait(10)
    for thread in threads[1:]:
        thread.start()
    while committed(database) < WRITERS:  # a commit does not wait for the disk of another one
        pass
    assert all(thread.is_alive() for thread in threads)
    disk.open.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert 2 <= disk.syncs <= WRITERS // 2


def test_actions_after_a_commit_wait_for_the_disk(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, notified = Disk(monkeypatch), []
    disk.open.set()
    with database.write() as session:
        session.add(Run(id="1", playbook="host", worker="test"))
        after_commit(session, "notify", lambda: notified.append(disk.syncs))
    assert notified == [1]


def test_a_failing_disk_fails_the_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    notified = []

    def fail(_descriptor: int) -> None:
        raise OSError("the disk is broken")

    monkeypatch.setattr(module.os, "fdatasync", fail)
    with pytest.raises(OSError, match="broken"), database.write() as session:
        session.add(Run(id="1", playbook="host", worker="test"))
        after_commit(session, "notify", lambda: notified.append(True))
    assert notified == []


def test_without_a_log_everything_is_in_the_database(database: Database, tmp_path: Path) -> None:
    add(database, 1)
    assert (tmp_path / "test.db-wal").exists()
    database.engine.dispose()  # SQLite removes the log with the last connection
    assert not (tmp_path / "test.db-wal").exists()
    module.WriteAheadLog(str(tmp_path / "test.db")).sync()
    assert committed(database) == 1

"""The transaction of a dry run: all its writers share it, and it is rolled back."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from databases import make_tables
from skywright.db import Database, after_commit
from skywright.db import dry_run as module
from skywright.db.dry_run import DryRunDatabase
from skywright.db.jobs import Host, Job
from skywright.errors import BadRequest


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    make_tables(database)
    with database.write() as session:
        session.add(Host(name="there"))
    return database


@pytest.fixture
def dry_run(database: Database) -> Iterator[DryRunDatabase]:
    dry_run = DryRunDatabase(database)
    yield dry_run
    dry_run.roll_back()


def hosts(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Host.name).order_by(Host.name)))


def test_writes_are_visible_only_within_the_dry_run(database: Database, dry_run: DryRunDatabase) -> None:
    notified: list[str] = []
    with dry_run.write() as session:
        session.add(Host(name="new"))
        after_commit(session, "notify", lambda: notified.append("notified"))
    with dry_run.write() as session:
        assert session.get(Host, "new") is not None
    assert hosts(dry_run) == ["new", "there"]
    assert hosts(database) == ["there"]
    assert dry_run.wrote
    dry_run.roll_back()
    assert hosts(database) == ["there"]
    assert notified == []


def test_a_failure_rolls_back_only_its_own_changes(dry_run: DryRunDatabase) -> None:
    with dry_run.write() as session:
        session.add(Job(playbook="server", action="kept"))
    with pytest.raises(ValueError, match="failed"), dry_run.write() as session:
        session.add(Job(playbook="server", action="lost"))
        session.flush()
        raise ValueError("failed")
    assert [job.action for job in dry_run.added(Job)] == ["kept"]
    assert dry_run.added(Host) == []


def test_reads_take_no_lock_and_writes_release_it(database: Database, dry_run: DryRunDatabase) -> None:
    def write(name: str) -> None:
        with database.write() as session:
            session.add(Host(name=name))

    assert hosts(dry_run) == ["there"] and not dry_run.wrote
    write("first")
    with dry_run.write() as session:
        session.add(Host(name="dry_run"))
    waiting = threading.Thread(target=write, args=["second"])
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    dry_run.roll_back()
    waiting.join(5)
    assert hosts(database) == ["first", "second", "there"]


def test_a_waiting_request_is_ended(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.05)
    dry_run = DryRunDatabase(database)
    with pytest.raises(BadRequest, match="too long"):
        while True:
            hosts(dry_run)
    assert dry_run.refused is not None
    dry_run.roll_back()

"""A rehearsal's one transaction: shared by all that use it, and taken back."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from skywright.db import Database, after_commit, rehearsal
from skywright.db.jobs import Host, Job
from skywright.db.rehearsal import Rehearsal
from skywright.errors import BadRequest


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.create_all()
    with database.write() as session:
        session.add(Host(name="there"))
    return database


@pytest.fixture
def rehearsed(database: Database) -> Iterator[Rehearsal]:
    rehearsed = Rehearsal(database)
    yield rehearsed
    rehearsed.forget()


def hosts(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Host.name).order_by(Host.name)))


def test_what_one_writes_the_next_reads_and_nobody_else(database: Database, rehearsed: Rehearsal) -> None:
    told: list[str] = []
    with rehearsed.write() as session:
        session.add(Host(name="new"))
        after_commit(session, "tell", lambda: told.append("told"))
    with rehearsed.write() as session:
        assert session.get(Host, "new") is not None
    assert hosts(rehearsed) == ["new", "there"]
    assert hosts(database) == ["there"]
    assert rehearsed.wrote
    rehearsed.forget()
    assert hosts(database) == ["there"]
    assert told == []


def test_a_failure_takes_back_only_its_own(rehearsed: Rehearsal) -> None:
    with rehearsed.write() as session:
        session.add(Job(playbook="server", action="kept"))
    with pytest.raises(ValueError, match="failed"), rehearsed.write() as session:
        session.add(Job(playbook="server", action="lost"))
        session.flush()
        raise ValueError("failed")
    assert [job.action for job in rehearsed.stored(Job)] == ["kept"]
    assert rehearsed.stored(Host) == []


def test_reading_takes_no_lock_and_writing_gives_it_back(database: Database, rehearsed: Rehearsal) -> None:
    def write(name: str) -> None:
        with database.write() as session:
            session.add(Host(name=name))

    assert hosts(rehearsed) == ["there"] and not rehearsed.wrote
    write("first")
    with rehearsed.write() as session:
        session.add(Host(name="rehearsed"))
    waiting = threading.Thread(target=write, args=["second"])
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    rehearsed.forget()
    waiting.join(5)
    assert hosts(database) == ["first", "second", "there"]


def test_a_request_that_waits_is_ended(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "LIMIT_SECONDS", 0.05)
    rehearsed = Rehearsal(database)
    with pytest.raises(BadRequest, match="too long"):
        while True:
            hosts(rehearsed)
    assert rehearsed.refused is not None
    rehearsed.forget()

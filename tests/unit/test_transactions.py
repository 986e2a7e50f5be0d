"""Transactions end well, or with what went wrong in them, whatever becomes of their connection afterwards."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from skywright.db import Database


@pytest.fixture
def lost_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database whose server is gone whenever a transaction is rolled back."""

    def fail(_connection: Any) -> None:
        raise sqlite3.OperationalError("the server is gone")

    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.create_all()
    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_rollback", fail)
        yield database
    database.engine.dispose()


def test_what_was_read_was_read(lost_at_the_end: Database) -> None:
    with lost_at_the_end.read() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_what_went_wrong_is_told(lost_at_the_end: Database) -> None:
    with pytest.raises(LookupError), lost_at_the_end.write() as session:
        assert session.scalar(text("SELECT 1")) == 1
        raise LookupError

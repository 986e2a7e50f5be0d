"""A transaction ends with its result or its own error, even if its connection is lost at its end."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from skywright.db import Database


@pytest.fixture
def lost_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database whose connection is lost at each rollback."""

    def fail(_connection: Any) -> None:
        raise sqlite3.OperationalError("the server is gone")

    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.engine.connect().close()  # the first connection is rolled back, too
    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_rollback", fail)
        yield database
    database.engine.dispose()


def test_a_lost_connection_after_a_read_is_ignored(lost_at_the_end: Database) -> None:
    with lost_at_the_end.read() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_the_error_of_the_transaction_is_raised(lost_at_the_end: Database) -> None:
    with pytest.raises(LookupError), lost_at_the_end.write() as session:
        assert session.scalar(text("SELECT 1")) == 1
        raise LookupError

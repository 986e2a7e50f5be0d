"""What holds in all tests."""

from typing import Any

from sqlalchemy import String, event, inspect
from sqlalchemy.orm import Session

from skywright.services import registry

registry.load_tables()


@event.listens_for(Session, "before_flush")
def strings_fit(session: Session, _context: Any, _instances: Any) -> None:
    """SQLite keeps strings of any length; on MariaDB a row whose column is too short is refused."""
    for row in (*session.new, *session.dirty):
        for column in inspect(row).mapper.column_attrs:
            kind, value = column.columns[0].type, getattr(row, column.key)
            if isinstance(kind, String) and kind.length and isinstance(value, str):
                where = f"{type(row).__name__}.{column.key}"
                assert len(value) <= kind.length, f"{where} has room for {kind.length} characters: {value!r}"

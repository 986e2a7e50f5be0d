"""The number of changes of identity: what lets processes remember identity's rows and never be wrong about them.

Each transaction that changes a `Counted` row raises the number in the same transaction. A request reads the number
in its own transaction first: what was remembered under that number is what the transaction would read. The listeners
are here, under the tables, so that every process that can change a row counts it.
"""

from typing import Any

from sqlalchemy import event, insert, update
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, SessionTransaction, mapped_column

from skywright.db.base import Base


class Counted:
    """Rows that decide what a token is worth: any change of one raises the `Revision` in the same transaction."""


class Revision(Base):
    """One row: how often the counted rows changed. What a process remembers of them holds for one number."""

    __tablename__ = "identity_revision"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(default=0)


_READ = "SELECT number FROM identity_revision WHERE id = 1"  # plain: every request asks it
_CHANGED = "identity_changed"
_NUMBER = "identity_revision"


def current(session: Session) -> int | None:
    """The number that *session*'s transaction sees; None if nothing may be remembered or recalled under it."""
    if session.info.get(_CHANGED):
        return None
    if _NUMBER not in session.info:
        session.info[_NUMBER] = session.connection().exec_driver_sql(_READ).scalar()
    number: int | None = session.info[_NUMBER]
    return number


def _raise(session: Session) -> None:
    session.info[_CHANGED] = True
    connection = session.connection()
    changed = connection.execute(update(Revision).where(Revision.id == 1).values(number=Revision.number + 1))
    if not changed.rowcount:
        connection.execute(insert(Revision).values(id=1, number=1))


@event.listens_for(Session, "after_transaction_end")
def _ends(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_NUMBER, None)
        session.info.pop(_CHANGED, None)


@event.listens_for(Session, "before_flush")
def _flushes(session: Session, _context: Any, _instances: Any) -> None:
    rows = (row for collection in (session.new, session.dirty, session.deleted) for row in collection)
    if any(isinstance(row, Counted) for row in rows):
        _raise(session)


@event.listens_for(Session, "do_orm_execute")
def _statements(state: ORMExecuteState) -> None:
    if state.is_select:
        return
    mapper = state.bind_mapper
    if mapper is not None and issubclass(mapper.class_, Counted):
        _raise(state.session)

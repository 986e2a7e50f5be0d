"""The identity revision: a counter that lets processes cache identity's rows and never use outdated ones.

Each transaction that changes a row of an `IdentityMixin` increments the number in the same transaction. A request first
reads the number in its own transaction: what was cached under this number is what the transaction would read. The
listeners are here, below the tables, so that every process that can change a row increments the number.
"""

from typing import Any

from sqlalchemy import event, insert, update
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, SessionTransaction, mapped_column

from skywright.db.base import Base


class IdentityMixin:
    """Rows that decide what a token is worth. Every change of such a row increments the `Revision`."""


class Revision(Base):
    """One row: the number of changes of identity's rows. Cached data is valid for one number."""

    __tablename__ = "identity_revision"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(default=0)


_READ = "SELECT number FROM identity_revision WHERE id = 1"  # plain SQL: every request runs it
_CHANGED = "identity_changed"
_NUMBER = "identity_revision"


def current(session: Session) -> int | None:
    """Return the number in *session*'s view; None if the transaction changed identity, so that no cache may be used."""
    if session.info.get(_CHANGED):
        return None
    if _NUMBER not in session.info:
        session.info[_NUMBER] = session.connection().exec_driver_sql(_READ).scalar()
    number: int | None = session.info[_NUMBER]
    return number


def _increment(session: Session) -> None:
    session.info[_CHANGED] = True
    connection = session.connection()
    changed = connection.execute(update(Revision).where(Revision.id == 1).values(number=Revision.number + 1))
    if not changed.rowcount:
        connection.execute(insert(Revision).values(id=1, number=1))


@event.listens_for(Session, "after_transaction_end")
def _after_transaction(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_NUMBER, None)
        session.info.pop(_CHANGED, None)


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: Any, _instances: Any) -> None:
    rows = (row for collection in (session.new, session.dirty, session.deleted) for row in collection)
    if any(isinstance(row, IdentityMixin) for row in rows):
        _increment(session)


@event.listens_for(Session, "do_orm_execute")
def _do_orm_execute(state: ORMExecuteState) -> None:
    if state.is_select:
        return
    mapper = state.bind_mapper
    if mapper is not None and issubclass(mapper.class_, IdentityMixin):
        _increment(state.session)

"""Change numbers: a follower of jobs resumes from the last number that it has seen.

Each inserted or updated row of a `ChangeNumberMixin` gets the next number of one counter, in the transaction that
changes it. Writers wait for each other at the counter, so numbers grow in the order of commits: a reader that has seen
all changes up to a number and asks for larger numbers misses nothing. Numbers are unique; some are never used.
"""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from sqlalchemy import BigInteger, event, func, insert, select
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, SessionTransaction, attributes, mapped_column

from skywright.db.base import Base


class ChangeNumberMixin:
    """Rows with a change number. Rows that are inserted in bulk get no number: add them to a session."""

    # Columns that are not shown to followers: a bulk update of only these columns gets no number.
    untracked_columns: ClassVar[frozenset[str]] = frozenset()
    change: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0", index=True)

    def change_order(self) -> tuple[int, int]:
        """Return the sort key of the row among the rows that change in one transaction."""
        raise NotImplementedError


class ChangeCounter(Base):
    """One row: the largest number that was taken."""

    __tablename__ = "change_counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, default=0)


# A transaction takes numbers in blocks, because taking some costs two statements.
BLOCK = 64
_TAKEN = "change_numbers"  # in a session's info: (first, end) of the numbers that its transaction has left
_INCREMENT = "UPDATE change_counter SET number = number + %d WHERE id = 1"
_READ = "SELECT number FROM change_counter WHERE id = 1"
_CONDITION = re.compile(r"_\d+$")  # suffix of the bound parameters of a statement's conditions


def latest(session: Session) -> int:
    """Return a number that is at least that of every change in *session*'s view, and smaller than every later one."""
    return session.connection().exec_driver_sql(_READ).scalar() or 0


def touch(row: ChangeNumberMixin) -> None:
    """Give *row* a new number, although none of its columns changed."""
    attributes.flag_modified(row, "change")


def _next_numbers(session: Session, count: int) -> Iterator[int]:
    """Take the next *count* numbers."""
    first, end = session.info.get(_TAKEN, (0, 0))
    if end - first < count:
        size = max(count, BLOCK)
        connection = session.connection()
        # Plain SQL, here and below: every writing request runs it, and SQLAlchemy's statements take longer to build.
        if not connection.exec_driver_sql(_INCREMENT % size).rowcount:
            connection.execute(insert(ChangeCounter).values(id=1, number=size))
        end = connection.exec_driver_sql(_READ).scalar_one() + 1
        first = end - size
    session.info[_TAKEN] = first + count, end
    return iter(range(first, first + count))


@event.listens_for(Session, "before_flush")
def _before_flush(session: Session, _context: Any, _instances: Any) -> None:
    rows = [row for row in session.new if isinstance(row, ChangeNumberMixin)]
    rows += [row for row in session.dirty if isinstance(row, ChangeNumberMixin) and session.is_modified(row)]
    if rows:
        for row, number in zip(
            sorted(rows, key=lambda row: row.change_order()), _next_numbers(session, len(rows)), strict=True
        ):
            row.change = number


@event.listens_for(Session, "do_orm_execute")
def _do_orm_execute(state: ORMExecuteState) -> None:
    """Give the rows of a bulk update numbers, in the order of their keys."""
    mapper = state.bind_mapper
    if not state.is_update or mapper is None or not issubclass(mapper.class_, ChangeNumberMixin):
        return
    statement: Any = state.statement
    if {
        _CONDITION.sub("", name) for name in statement.compile().params if not _CONDITION.search(name)
    } <= mapper.class_.untracked_columns:
        return
    key = mapper.primary_key[0]
    low, high = state.session.execute(select(func.min(key), func.max(key)).where(statement.whereclause)).one()
    if low is not None:
        first = next(_next_numbers(state.session, high - low + 1))
        state.statement = statement.values(change=first + (key - low))


@event.listens_for(Session, "after_soft_rollback")
def _after_rollback(session: Session, _transaction: SessionTransaction) -> None:
    # The rollback also restored the counter: the numbers of a savepoint will be taken again.
    session.info.pop(_TAKEN, None)


@event.listens_for(Session, "after_transaction_end")
def _after_transaction(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_TAKEN, None)

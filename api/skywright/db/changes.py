"""Numbers of changes: what followers of jobs resume from.

Each new or changed `Numbered` row gets the next number of one counter, in the transaction that changes it. Writers wait
for each other at the counter, so numbers grow in the order of commits: whoever has seen all up to a number asks for
larger ones, and misses nothing that was committed late. Numbers are unique; some are never used.
"""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from sqlalchemy import BigInteger, event, func, insert, select
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, SessionTransaction, attributes, mapped_column

from skywright.db.base import Base


class Numbered:
    """Rows that followers are told of. Rows that are inserted in bulk get no number: add them to a session."""

    # Columns that no follower sees: a bulk update of nothing else is no change.
    quiet: ClassVar[frozenset[str]] = frozenset()
    change: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0", index=True)

    def place(self) -> tuple[int, int]:
        """The row's place among those that change in one transaction."""
        raise NotImplementedError


class ChangeCounter(Base):
    """One row: the largest number that was taken."""

    __tablename__ = "change_counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, default=0)


# A transaction takes so many at once: a number is dear, for it costs two statements.
BLOCK = 64
_TAKEN = "change_numbers"  # in a session's info: those that its transaction has taken and not given yet
_RAISE = "UPDATE change_counter SET number = number + %d WHERE id = 1"
_READ = "SELECT number FROM change_counter WHERE id = 1"
_REPEATED = re.compile(r"_\d+$")  # how bound values of a statement's conditions are named


def latest(session: Session) -> int:
    """A number that no change that *session*'s transaction sees exceeds, and every later one does."""
    return session.connection().exec_driver_sql(_READ).scalar() or 0


def touch(row: Numbered) -> None:
    """Count a change of what is shown of *row*, though none of its columns changed."""
    attributes.flag_modified(row, "change")


def _take(session: Session, count: int) -> Iterator[int]:
    """The next *count* numbers."""
    first, end = session.info.get(_TAKEN, (0, 0))
    if end - first < count:
        size = max(count, BLOCK)
        connection = session.connection()
        # Plain SQL, here and below: every request that changes something comes by, and building it costs more.
        if not connection.exec_driver_sql(_RAISE % size).rowcount:
            connection.execute(insert(ChangeCounter).values(id=1, number=size))
        end = connection.exec_driver_sql(_READ).scalar_one() + 1
        first = end - size
    session.info[_TAKEN] = first + count, end
    return iter(range(first, first + count))


@event.listens_for(Session, "before_flush")
def _flushes(session: Session, _context: Any, _instances: Any) -> None:
    rows = [row for row in session.new if isinstance(row, Numbered)]
    rows += [row for row in session.dirty if isinstance(row, Numbered) and session.is_modified(row)]
    if rows:
        for row, number in zip(sorted(rows, key=lambda row: row.place()), _take(session, len(rows)), strict=True):
            row.change = number


@event.listens_for(Session, "do_orm_execute")
def _statements(state: ORMExecuteState) -> None:
    """A bulk update: its rows get numbers by their keys, each its own."""
    mapper = state.bind_mapper
    if not state.is_update or mapper is None or not issubclass(mapper.class_, Numbered):
        return
    statement: Any = state.statement
    if {
        _REPEATED.sub("", name) for name in statement.compile().params if not _REPEATED.search(name)
    } <= mapper.class_.quiet:
        return
    key = mapper.primary_key[0]
    low, high = state.session.execute(select(func.min(key), func.max(key)).where(statement.whereclause)).one()
    if low is not None:
        first = next(_take(state.session, high - low + 1))
        state.statement = statement.values(change=first + (key - low))


@event.listens_for(Session, "after_soft_rollback")
def _rolls_back(session: Session, _transaction: SessionTransaction) -> None:
    # The counter is what it was before: numbers that were taken in a savepoint will be taken again.
    session.info.pop(_TAKEN, None)


@event.listens_for(Session, "after_transaction_end")
def _ends(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_TAKEN, None)

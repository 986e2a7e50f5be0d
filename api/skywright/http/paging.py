"""Pages of lists. A page begins after the marker, a row that the client names. Its position is given by the sort keys,
so that rows that are added or removed between two pages do not repeat or hide other rows.
"""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, false, literal, or_
from sqlalchemy.orm import Session
from starlette.requests import Request

Clause = ColumnElement[bool]
Item = TypeVar("Item")
# [(column, ascending)]; no two rows have equal values in all columns.
Order = Sequence[tuple[Any, bool]]


class MarkerNotFound(LookupError):
    """The marker is not a row of the list."""


def page(
    session: Session, query: Select[Any], order: Order, *, marker: Select[Any] | None, limit: int | None
) -> tuple[list[Any], bool]:
    """Return at most *limit* rows of *query* after the row that *marker* selects, and whether more follow.

    Raises MarkerNotFound if *marker* selects no row. The row need not match *query*: a row that does not match the
    filters any more is still a valid position.
    """
    return cut(session.scalars(statement(session, query, order, marker=marker, limit=limit)).all(), limit)


def statement(
    session: Session, query: Select[Any], order: Order, *, marker: Select[Any] | None, limit: int | None
) -> Select[Any]:
    """Return the query of a `page`, with one row more than the limit, if there is one: `cut` removes it."""
    if marker is not None:
        query = query.where(_after(session, order, marker))
    query = query.order_by(*_sorted(order))
    return query if limit is None else query.limit(limit + 1)


def cut(rows: Sequence[Item], limit: int | None) -> tuple[list[Item], bool]:
    """Return the *rows* of a page, and whether more follow. After an empty page nothing follows: it has no marker."""
    return list(rows if limit is None else rows[:limit]), limit is not None and len(rows) > limit > 0


def window(
    items: Sequence[Item], ids: Sequence[str], *, marker: str | None, limit: int | None
) -> tuple[list[Item], bool]:
    """Return a page of a list in memory; *ids* are the markers of its *items*."""
    if marker is not None:
        if marker not in ids:
            raise MarkerNotFound
        items = items[ids.index(marker) + 1 :]
    return cut(items, limit)


def next_url(request: Request, marker: str) -> str:
    """Return the URL of the next page after *request*'s page, whose last row is *marker*."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "marker"]
    return str(request.url.replace(query=urlencode([*kept, ("marker", marker)])))


def _sorted(order: Order) -> list[Any]:
    return [column.asc() if ascending else column.desc() for column, ascending in order]


def _after(session: Session, order: Order, marker: Select[Any]) -> Clause:
    """Return the clause for the rows after the marker's. NULL is less than every value, as both databases sort it."""
    backwards = _sorted([(column, not ascending) for column, ascending in order])
    place = session.execute(marker.with_only_columns(*(column for column, _ in order)).order_by(*backwards)).first()
    if place is None:
        raise MarkerNotFound
    alternatives = []
    for index, (column, ascending) in enumerate(order):
        equal = [_equal(order[before][0], place[before]) for before in range(index)]
        alternatives.append(and_(*equal, _beyond(column, place[index], ascending=ascending)))
    return or_(*alternatives)


def _equal(column: Any, value: Any) -> Clause:
    clause: Clause = column.is_(None) if value is None else column == value
    return clause


def _beyond(column: Any, value: Any, *, ascending: bool) -> Clause:
    if value is None:
        return column.is_not(None) if ascending else false()
    place = literal(value, column.type)  # SQLAlchemy has no order of the constants true and false
    return column > place if ascending else or_(column < place, column.is_(None))

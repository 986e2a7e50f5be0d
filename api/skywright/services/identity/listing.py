"""Lists as Keystone answers them: filters, pages, links. Without a limit a list has all of its rows on one page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, false, func, true
from sqlalchemy.orm import InstrumentedAttribute

from skywright.http import BadRequest, Context, NotFound, fields, paging
from skywright.services.identity.common import key_of

Clause = ColumnElement[bool]
# Which column a filter looks at; None: no row has what it asks for.
Filters = Mapping[str, InstrumentedAttribute[Any] | None]


def listing(context: Context, key: str, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A list that Keystone does not page either."""
    return {key: items, "links": _links(context, None), **more}


def page(
    context: Context,
    key: str,
    query: Select[Any],
    view: Callable[[Context, Any], dict[str, Any]],
    *,
    order: Sequence[InstrumentedAttribute[Any]],
    filters: Filters,
) -> dict[str, Any]:
    """The page of *query* that the request asks for: of the rows that its *filters* let through, sorted by *order*.

    The last column of *order* is the row's id, which is what markers are.
    """
    asked, columns = context.request.query_params, [(column, True) for column in order]
    found = query.where(*(_matches(filters, name, value) for name, value in asked.multi_items()))
    marker = asked.get("marker")
    row = None if marker is None else query.where(order[-1] == marker)
    try:
        rows, more = paging.page(context.db, found, columns, marker=row, limit=_limit(asked.get("limit")))
    except paging.MarkerNotFound:
        raise NotFound(f"Marker {marker} could not be found.") from None
    body = {key: [view(context, row) for row in rows], "links": _links(context, rows[-1].id if more else None)}
    return body | ({"truncated": True} if more else {})


def truth(value: str) -> bool:
    """A boolean of a query: as Keystone reads it, what does not say no says yes."""
    return fields.boolean(value, default=True)


def _limit(text: str | None) -> int | None:
    """0 means no limit."""
    try:
        return fields.natural(text) or None if text is not None else None
    except ValueError:
        raise BadRequest(f"Invalid input for field 'limit': '{text}' is not an integer of 0 or more.") from None


def _links(context: Context, following: str | None) -> dict[str, Any]:
    request = context.request
    return {
        "self": str(request.url),
        "previous": None,
        "next": None if following is None else paging.next_url(request, following),
    }


def _matches(filters: Filters, name: str, value: str) -> Clause:
    """`name=value`, or `name__contains=value` and its like, which heed case unless they begin with an i."""
    name, _, comparison = name.partition("__")
    if name not in filters:
        return true()
    column = filters[name]
    if column is None:
        return false()
    if isinstance(column.type, Boolean):
        return column.is_(truth(value)) if not comparison else true()
    folded = getattr(column.class_, f"{column.key}_key", None)
    if not comparison:
        return column == value if folded is None else folded == key_of(value)
    text: Any = column
    if comparison.startswith("i"):
        comparison, value = comparison.removeprefix("i"), key_of(value)
        text = func.lower(column) if folded is None else folded
    return COMPARISONS[comparison](text, value) if comparison in COMPARISONS else true()


# LIKE heeds case on one database and not on the other; these functions do on both.
COMPARISONS: Mapping[str, Callable[[Any, str], Clause]] = {
    "contains": lambda text, value: func.instr(text, value) > 0,
    "startswith": lambda text, value: func.substr(text, 1, len(value)) == value,
    "endswith": lambda text, value: func.substr(text, -len(value)) == value if value else true(),
}

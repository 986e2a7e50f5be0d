"""Lists in Keystone's format: filters, pages, links. Without a limit a list has all rows on one page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, false, func, true
from sqlalchemy.orm import InstrumentedAttribute
from starlette.datastructures import QueryParams

from skywright.http import BadRequest, Context, NotFound, fields, paging
from skywright.services.identity.common import key_of

Clause = ColumnElement[bool]
# {filter: column}; None: no row matches.
Filters = Mapping[str, InstrumentedAttribute[Any] | None]


def listing(context: Context, key: str, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a list that has no pages in Keystone either."""
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
    """Return the requested page of *query*, filtered by *filters* and sorted by *order*, or by a filter's column that
    the query names as `sort_key`.

    The last column of *order* is the row's id, which is the marker.
    """
    parameters = context.request.query_params
    found = query.where(*(_matches(filters, name, value) for name, value in parameters.multi_items()))
    marker, sorting = parameters.get("marker"), _sorting(parameters, order, filters)
    row = None if marker is None else query.where(order[-1] == marker)
    try:
        rows, more = paging.page(context.db, found, sorting, marker=row, limit=_limit(parameters.get("limit")))
    except paging.MarkerNotFound:
        raise NotFound(f"Marker {marker} could not be found.") from None
    body = {key: [view(context, row) for row in rows], "links": _links(context, rows[-1].id if more else None)}
    return body | ({"truncated": True} if more else {})


def truth(value: str) -> bool:
    """Return a boolean of a query. As in Keystone, everything that does not mean false is true."""
    return fields.boolean(value, default=True)


def flag(context: Context, name: str) -> bool:
    """Return whether the query has the parameter *name*, with a value that does not mean false."""
    value = context.request.query_params.get(name)
    return value is not None and truth(value)


def _sorting(parameters: QueryParams, order: Sequence[InstrumentedAttribute[Any]], filters: Filters) -> paging.Order:
    """Return the columns to sort by; `sort_dir` applies to all of them."""
    direction, name = parameters.get("sort_dir", "asc"), parameters.get("sort_key")
    if direction not in ("asc", "desc"):
        raise BadRequest(f"Invalid input for field 'sort_dir': '{direction}' is not one of ['asc', 'desc'].")
    column = None if name is None else filters.get(name)
    if name is not None and column is None:
        keys = [key for key, known in filters.items() if known is not None]
        raise BadRequest(f"Invalid input for field 'sort_key': '{name}' is not one of {keys}.")
    first = () if column is None else (_folded(column) or column,)
    return [(each, direction == "asc") for each in (*first, *order)]


def _folded(column: InstrumentedAttribute[Any]) -> InstrumentedAttribute[Any] | None:
    """Return the column with the case-folded values of *column*, if there is one."""
    return getattr(column.class_, f"{column.key}_key", None)


def _limit(text: str | None) -> int | None:
    """Return the limit; 0 means none."""
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
    """Return the clause of `name=value`, or `name__contains=value` and others, which ignore case if they begin with an
    i.
    """
    name, _, comparison = name.partition("__")
    if name not in filters:
        return true()
    column = filters[name]
    if column is None:
        return false()
    if isinstance(column.type, Boolean):
        return column.is_(truth(value)) if not comparison else true()
    folded = _folded(column)
    if not comparison:
        return column == value if folded is None else folded == key_of(value)
    text: Any = column
    if comparison.startswith("i"):
        comparison, value = comparison.removeprefix("i"), key_of(value)
        text = func.lower(column) if folded is None else folded
    return COMPARISONS[comparison](text, value) if comparison in COMPARISONS else true()


# LIKE is case-sensitive in only one of the databases; these functions are in both.
COMPARISONS: Mapping[str, Callable[[Any, str], Clause]] = {
    "contains": lambda text, value: func.instr(text, value) > 0,
    "startswith": lambda text, value: func.substr(text, 1, len(value)) == value,
    "endswith": lambda text, value: func.substr(text, -len(value)) == value if value else true(),
}

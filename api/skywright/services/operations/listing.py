"""Pages of this API's lists: `limit` and `marker`, and `links` with the next page, if there is one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select

from skywright.http import BadRequest, Context, NotFound, fields, paging
from skywright.http.paging import Order

MOST = 1000
PAGING = frozenset({"limit", "marker"})


def check_parameters(context: Context, more: frozenset[str] = frozenset()) -> None:
    """Raise BadRequest if the query has a parameter that neither the route declares nor *more* contains."""
    known = {field.alias for field in context.request.scope["route"].dependant.query_params} | more
    if unknown := sorted(set(context.request.query_params) - known):
        names = ", ".join(f"'{name[:64]}'" for name in unknown[:10])
        raise BadRequest(f"Unknown query parameters: {names}. Known ones: {', '.join(sorted(known)) or 'none'}.")


def limit_of(context: Context, default: int | None = None) -> int | None:
    """Return the requested page size; raise BadRequest if it is invalid, or for unknown parameters."""
    check_parameters(context, PAGING)
    text = context.request.query_params.get("limit")
    if text is None:
        return default
    try:
        limit = fields.natural(text)
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST:
        raise BadRequest(f"Invalid input for limit: '{text[:64]}' is not a number from 1 to {MOST}.")
    return limit


def page(
    context: Context,
    query: Select[Any],
    order: Order,
    *,
    scope: Select[Any],
    column: Any,
    default: int | None = None,
) -> tuple[list[Any], dict[str, Any]]:
    """Return the requested rows of *query*, and the links; *column* has the markers, *scope* is the query without
    filters.
    """
    marker, limit = context.request.query_params.get("marker"), limit_of(context, default)
    try:
        row = None if marker is None else scope.where(column == marker)
        rows, more = paging.page(context.db, query, order, marker=row, limit=limit)
    except paging.MarkerNotFound:
        raise NotFound.of("Marker", marker or "") from None
    return rows, links(context, getattr(rows[-1], column.key) if more else None)


def numbered_page(
    context: Context, query: Select[Any], number: Any, *, default: int
) -> tuple[list[Any], dict[str, Any]]:
    """As `page`, for numbered rows, newest first: a *number* is a marker even if its row was removed."""
    limit = limit_of(context, default)
    query = after_number(context, query, number)
    rows, more = paging.page(context.db, query, [(number, False)], marker=None, limit=limit)
    return rows, links(context, getattr(rows[-1], number.key) if more else None)


def after_number(context: Context, query: Select[Any], number: Any) -> Select[Any]:
    """Return *query* without the rows up to the marker."""
    marker = context.request.query_params.get("marker")
    try:
        return query if marker is None else query.where(number < fields.natural(marker))
    except ValueError:
        raise BadRequest(f"Invalid input for marker: '{str(marker)[:64]}' is not a number.") from None


def window(context: Context, names: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """As `page`, for *names*, which are their own markers."""
    marker = context.request.query_params.get("marker")
    try:
        found, more = paging.window(names, names, marker=marker, limit=limit_of(context))
    except paging.MarkerNotFound:
        raise NotFound.of("Marker", marker or "") from None
    return found, links(context, found[-1] if more else None)


def links(context: Context, marker: Any) -> dict[str, Any]:
    """Return the link to the page after *marker*; an empty list if there is none."""
    return {} if marker is None else {"links": [{"rel": "next", "href": paging.next_url(context.request, str(marker))}]}

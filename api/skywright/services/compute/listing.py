"""What Nova's lists have in common: query parameters, pages and links to the next page."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select
from starlette.datastructures import QueryParams

from skywright.http import BadRequest, Context, fields, paging
from skywright.http.microversions import version_of
from skywright.http.paging import Order

T = TypeVar("T")
PAGE = 1000
PAGING = frozenset({"limit", "marker"})


def parameters(context: Context, known: frozenset[str], *, closed: int = 75) -> QueryParams:
    """Return the query parameters. Unknown ones are ignored; from microversion *closed* on they are refused."""
    query = context.request.query_params
    unknown = sorted(set(query) - known)
    if unknown and version_of(context) >= closed:
        verb = "was" if len(unknown) == 1 else "were"
        names = ", ".join(f"'{name[:64]}'" for name in unknown[:10])
        raise BadRequest(f"Additional properties are not allowed ({names} {verb} unexpected)")
    return query


def page(
    context: Context,
    query: Select[Any],
    order: Order,
    *,
    scope: Select[Any],
    column: Any,
    marker_of: Callable[[Any], str],
) -> tuple[list[Any], str | None]:
    """Return the requested page of *query*, and the marker of the next page, if there is one.

    *column* has the markers, *marker_of* returns that of a row; *scope* is the query without filters.
    """
    wanted = context.request.query_params
    with known_marker(wanted) as marker:
        row = None if marker is None else scope.where(column == marker)
        rows, more = paging.page(context.db, query, order, marker=row, limit=page_limit(wanted))
    return rows, marker_of(rows[-1]) if more else None


@contextmanager
def known_marker(query: Mapping[str, str]) -> Iterator[str | None]:
    """Return the marker in the query; raise BadRequest if it does not exist."""
    marker = query.get("marker")
    try:
        yield marker
    except paging.MarkerNotFound:
        raise BadRequest(f"marker [{marker}] not found") from None


def next_link(context: Context, name: str, marker: str | None) -> dict[str, Any]:
    """Return the link to the page after *marker*, called *name*; an empty dictionary if there is no such page."""
    if marker is None:
        return {}
    return {name: [{"rel": "next", "href": paging.next_url(context.request, marker)}]}


def page_limit(query: Mapping[str, str]) -> int:
    """Return the page size from `limit`, at most PAGE, which is also the default."""
    return min(natural_parameter(query["limit"], "limit"), PAGE) if "limit" in query else PAGE


def natural_parameter(value: str, name: str) -> int:
    """Return a query parameter that is an integer of 0 or more."""
    return _parsed(fields.natural, value, name)


def boolean_parameter(value: str, name: str) -> bool:
    """Return a boolean query parameter."""
    return _parsed(fields.boolean, value, name)


def moment_parameter(value: str, name: str) -> datetime:
    """Return a query parameter that is a time, as naive UTC."""
    return _parsed(fields.moment, value, name)


def _parsed(parse: Callable[[str], T], value: str, name: str) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise BadRequest(f"Invalid input for query parameters {name}. Value: {value}. {error}") from None

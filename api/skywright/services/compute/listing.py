"""What Nova's lists have in common: their query parameters, their pages and the link from one to the next."""

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
    """The query. Names that are not *known* mean nothing; from microversion *closed* on they are refused."""
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
    """The page of *query* that the request asks for, and the marker of the next one, if there is one.

    *column* holds the markers, and *marker_of* says a row's; *scope* is the query without its filters.
    """
    wanted = context.request.query_params
    with known_marker(wanted) as marker:
        row = None if marker is None else scope.where(column == marker)
        rows, more = paging.page(context.db, query, order, marker=row, limit=page_limit(wanted))
    return rows, marker_of(rows[-1]) if more else None


@contextmanager
def known_marker(query: Mapping[str, str]) -> Iterator[str | None]:
    """The marker that the query names; a BadRequest if it is not found."""
    marker = query.get("marker")
    try:
        yield marker
    except paging.MarkerNotFound:
        raise BadRequest(f"marker [{marker}] not found") from None


def next_link(context: Context, name: str, marker: str | None) -> dict[str, Any]:
    """The link to the page after *marker*, called *name*; nothing if there is no such page."""
    if marker is None:
        return {}
    return {name: [{"rel": "next", "href": paging.next_url(context.request, marker)}]}


def page_limit(query: Mapping[str, str]) -> int:
    """The page size that `limit` asks for, at most PAGE, which is also the default."""
    return min(_parsed(fields.natural, query["limit"], "limit"), PAGE) if "limit" in query else PAGE


def boolean_parameter(value: str, name: str) -> bool:
    """A query parameter that is a boolean."""
    return _parsed(fields.boolean, value, name)


def moment_parameter(value: str, name: str) -> datetime:
    """A query parameter that is a moment, as naive UTC."""
    return _parsed(fields.moment, value, name)


def _parsed(parse: Callable[[str], T], value: str, name: str) -> T:
    try:
        return parse(value)
    except ValueError as error:
        raise BadRequest(f"Invalid input for query parameters {name}. Value: {value}. {error}") from None

"""Lists of images, tasks and metadata definitions: pages, sort keys, links."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Select
from starlette.datastructures import QueryParams

from skywright.http import ApiError, BadRequest, Context, NotFound, fields, paging
from skywright.http.paging import Order

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
DIRECTIONS = ("asc", "desc")


@dataclass(frozen=True)
class Listing:
    """A list: its name, the view of a row, the column of markers, and the sort keys.

    `ties` are the columns that make every order total. A list without a `default_limit` has all rows on one page.
    `allowed` returns whether the policy lets the caller see a row.
    """

    name: str
    schema: str
    view: Callable[[Any], dict[str, Any]]
    marker: Any
    sort_keys: Mapping[str, Any]
    ties: Sequence[str]
    default_limit: int | None = None
    missing_marker: type[ApiError] = NotFound
    allowed: Callable[[Context, Any], bool] = lambda _context, _row: True

    def page(self, context: Context, query: Select[Any], scope: Select[Any]) -> dict[str, Any]:
        """Return the requested page of *query*, with the link to the next; *scope* is the query without filters."""
        asked = context.request.query_params
        limit, order, marker = self._limit(asked), self._order(asked), asked.get("marker")
        try:
            row = None if marker is None else scope.where(self.marker == marker)
            rows, more = paging.page(context.db, query, order, marker=row, limit=limit)
        except paging.MarkerNotFound:
            raise self.missing_marker(f"Marker {marker} could not be found.") from None
        path = context.request.url.path.removeprefix(context.request.scope.get("root_path", ""))
        kept = [pair for pair in asked.multi_items() if pair[0] != "marker"]
        seen = [self.view(row) for row in rows if self.allowed(context, row)]
        body = {self.name: seen, "first": _link(path, kept), "schema": self.schema}
        if more:
            body["next"] = _link(path, [*kept, ("marker", getattr(rows[-1], self.marker.key))])
        return body

    def _limit(self, asked: QueryParams) -> int | None:
        text = asked.get("limit")
        if text is None:
            return self.default_limit
        try:
            return min(fields.natural(text), MAX_LIMIT)
        except ValueError:
            raise BadRequest("limit param must be an integer that is not negative") from None

    def _order(self, asked: QueryParams) -> Order:
        """Return the sort keys with their directions; the last ones make the order total."""
        order = _wanted(asked)
        for key, direction in order:
            if key not in self.sort_keys:
                raise BadRequest(f"Invalid sort key: {key}. It must be one of: {', '.join(self.sort_keys)}.")
            if direction not in DIRECTIONS:
                raise BadRequest(f"Invalid sort direction: {direction}. It must be one of: asc, desc.")
        total: dict[str, str] = {}
        for key, direction in [*order, *((tie, order[0][1]) for tie in self.ties)]:
            total.setdefault(key, direction)
        return [(self.sort_keys[key], direction == "asc") for key, direction in total.items()]


def _wanted(asked: QueryParams) -> list[tuple[str, str]]:
    """Return `sort=name:asc,size`, or `sort_key` and `sort_dir`; without both, the newest first."""
    wanted, keys, directions = (asked.getlist(name) for name in ("sort", "sort_key", "sort_dir"))
    if wanted and (keys or directions):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    if wanted:
        pairs = [part.strip().partition(":") for text in wanted for part in text.split(",")]
        return [(key.strip(), direction.strip() or "desc") for key, _, direction in pairs]
    if len(directions) > 1 and len(directions) != len(keys):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    keys = keys or ["created_at"]
    directions = directions if len(directions) > 1 else (directions or ["desc"]) * len(keys)
    return list(zip(keys, directions, strict=False))


def _link(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path

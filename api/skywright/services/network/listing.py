"""Lists in Neutron's format: filters by any attribute, sort keys, pages in both directions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from sqlalchemy import Boolean, DateTime, Integer, Select, and_, false, or_, select, true

from skywright.http import BadRequest, Context, NotFound, fields, paging, tags
from skywright.http.paging import Clause, Order
from skywright.services.network.sharing import shared_with

T = TypeVar("T")
Special = Callable[[Context, Sequence[str]], Clause]
Query = dict[str, list[str]]
PAGE = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
OLD_NAMES = {"tenant_id": "project_id"}


def boolean(text: str) -> bool:
    """Return a boolean; raise BadRequest if it is not one."""
    return _parsed(fields.boolean, text, "boolean")


def integer(text: str) -> int:
    """Return an integer that all databases can compare; raise BadRequest if it is not one."""
    return _parsed(fields.integer, text, "integer")


def _moment(text: str) -> datetime:
    return _parsed(fields.moment, text, "date and time")


def _parsed(parse: Callable[[str], T], text: str, kind: str) -> T:
    try:
        return parse(text)
    except ValueError:
        message = f"Invalid input for operation: '{text}' cannot be converted to {kind}."
        raise BadRequest(message, kind="InvalidInput") from None


@dataclass(frozen=True)
class Listing:
    """The filters and sort keys of one type of resource."""

    model: Any
    label: str  # as in NetworkNotFound, the error for a wrong marker
    # Attributes that are columns (or expressions); constants are the same in all rows.
    columns: Mapping[str, Any]
    constants: Mapping[str, Any] = field(default_factory=dict)
    specials: Mapping[str, Special] = field(default_factory=dict)
    tags: Any = None  # the table of tags: (resource_id, tag)

    def page(self, context: Context, query: Select[Any], collection: str) -> tuple[list[Any], dict[str, Any]]:
        """Return the requested rows of *query*, and the links to the pages before and after."""
        params = query_of(context)
        page = _Page.of(self, params)
        order = [(column, ascending != page.reverse) for column, ascending in page.order]
        self._check(params)
        clauses = (self._clause(context, name, values) for name, values in params.items() if name not in PAGE)
        filtered = query.where(*clauses)
        marker = None if page.marker is None else query.where(self.model.id == page.marker)
        try:
            statement = paging.statement(context.db, filtered, order, marker=marker, limit=page.limit)
        except paging.MarkerNotFound:
            raise NotFound.of(self.label, page.marker or "") from None
        rows, more = paging.cut(context.db.scalars(statement).all(), page.limit)
        if page.reverse:
            rows.reverse()
        links = page.links(str(context.request.url.replace(query="")), params, [row.id for row in rows], more=more)
        return rows, {f"{collection}_links": links} if links else {}

    def _check(self, params: Query) -> None:
        """Raise BadRequest for unknown filters, as Neutron's extension `filter-validation` does."""
        known = {"changed_since", *PAGE, *self.columns, *self.constants, *self.specials}
        if self.tags is not None:
            known |= tags.FILTERS
        if unknown := [name for name in params if name not in known]:
            raise BadRequest(f"{unknown} is invalid attribute for filtering")

    def _clause(self, context: Context, name: str, values: Sequence[str]) -> Clause:
        """Return the clause `name=value` for any of *values*."""
        if name in self.specials:
            return self.specials[name](context, values)
        if self.tags is not None and name in tags.FILTERS:
            return tags.clause(name, [tag for value in values for tag in value.split(",")], self._tagged)
        if name in self.constants:
            constant = self.constants[name]
            wanted = [boolean(value) if isinstance(constant, bool) else value for value in values]
            return true() if constant in wanted else false()
        if name == "changed_since":
            return and_(*(self.model.updated_at >= _moment(value) for value in values))
        return _matches(self.columns[name], values)

    def _tagged(self, tag: str) -> Clause:
        clause: Clause = self.model.id.in_(select(self.tags.resource_id).where(self.tags.tag == tag))
        return clause


def by_shared(column: Any) -> Special:
    """Return a filter for rows whose *column* is the id of an object that is shared with the caller, or is not."""

    def clause(context: Context, values: Sequence[str]) -> Clause:
        shared = column.in_(shared_with(context.caller.project_id))
        return or_(*(shared if boolean(value) else ~shared for value in values))

    return clause


def query_of(context: Context) -> Query:
    """Return the query string as {name: values}; `tenant_id` becomes `project_id`, also as a sort key."""
    params: Query = {}
    for name, value in context.request.query_params.multi_items():
        renamed = OLD_NAMES.get(value, value) if name == "sort_key" else value
        params.setdefault(OLD_NAMES.get(name, name), []).append(renamed)
    return params


def _matches(column: Any, values: Sequence[str]) -> Clause:
    if isinstance(column.type, DateTime):
        return or_(*(fields.within(column, _moment(value)) for value in values))
    wanted: list[Any] = list(values)
    if isinstance(column.type, Boolean):
        wanted = [boolean(value) for value in values]
    elif isinstance(column.type, Integer):
        wanted = [integer(value) for value in values]
    return or_(column.in_(wanted))


@dataclass(frozen=True)
class _Page:
    """The page parameters of a query string."""

    limit: int | None
    marker: str | None
    reverse: bool
    order: Order

    @classmethod
    def of(cls, listing: Listing, query: Query) -> "_Page":
        """Parse the parameters; raise BadRequest if they are not valid."""
        limit = query.get("limit", ["0"])[-1]
        try:
            wanted = fields.natural(limit)
        except ValueError:
            text = f"Bad limit request: Limit must be an integer 0 or greater and not '{limit}'."
            raise BadRequest(text, kind="BadRequest") from None
        reverse = fields.boolean(query.get("page_reverse", ["false"])[-1], default=False)
        return cls(wanted or None, query.get("marker", [None])[-1], reverse, _order(listing, query))

    def links(self, url: str, query: Query, ids: Sequence[str], *, more: bool) -> list[dict[str, str]]:
        """Return the links to the pages before and after the one with *ids*; *more* rows follow in its direction."""
        if self.limit is None or not ids:
            return []
        kept = [
            (key, value) for key, values in query.items() for value in values if key not in ("marker", "page_reverse")
        ]
        result = []
        came_from = self.marker is not None
        if came_from if self.reverse else more:
            result.append({"rel": "next", "href": f"{url}?{urlencode([*kept, ('marker', ids[-1])])}"})
        if more if self.reverse else came_from:
            back = [*kept, ("marker", ids[0]), ("page_reverse", "True")]
            result.append({"rel": "previous", "href": f"{url}?{urlencode(back)}"})
        return result


def _order(listing: Listing, query: Query) -> Order:
    keys, directions = query.get("sort_key", []), query.get("sort_dir", [])
    if directions and len(keys) != len(directions):
        raise BadRequest("The number of sort_keys and sort_dirs must be same")
    if not set(directions) <= {"asc", "desc"}:
        raise BadRequest("The sort direction must be asc or desc")
    unknown = [key for key in keys if key not in listing.columns and key not in listing.constants]
    if unknown:
        raise BadRequest(f"{unknown} is invalid attribute for sort_keys")
    order = [
        (listing.columns[key], direction == "asc")
        for key, direction in zip(keys, directions or ["asc"] * len(keys), strict=True)
        if key in listing.columns  # constants are the same in all rows
    ]
    return [*(order or [(listing.model.created_at, True)]), (listing.model.id, True)]

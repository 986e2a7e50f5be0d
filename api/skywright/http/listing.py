"""Lists as Neutron gives them: filters by any attribute, sorting, pages by marker in both directions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Boolean, ColumnElement, Integer, and_, false, or_, select, true
from sqlalchemy.orm import Session

from skywright.http import BadRequest

Clause = ColumnElement[bool]
Special = Callable[[Sequence[str]], Clause]
PAGE = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
TRUE, FALSE = {"true", "1", "yes"}, {"false", "0", "no"}


def boolean(text: str) -> bool:
    """`True`, `false`, `1`..., or a BadRequest."""
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise BadRequest(f"Invalid input for operation: '{text}' is not a valid boolean value.", kind="InvalidInput")


def integer(text: str) -> int:
    """A number that every database can compare, or a BadRequest."""
    try:
        number = int(text)
    except ValueError:
        number = 1 << 63
    if abs(number) < 1 << 63:
        return number
    raise BadRequest(f"Invalid input for operation: '{text}' is not an integer.", kind="InvalidInput")


@dataclass(frozen=True)
class Listing:
    """What one kind of resource can be filtered and sorted by."""

    model: Any
    # Attributes that are columns (or expressions); constants are those that all rows share.
    columns: Mapping[str, Any]
    constants: Mapping[str, Any] = field(default_factory=dict)
    specials: Mapping[str, Special] = field(default_factory=dict)
    tags: Any = None  # the table of tags: (resource_id, tag)

    def clause(self, name: str, values: Sequence[str]) -> Clause | None:
        """The filter `name=value` for any of *values*; None for what is no attribute, which Neutron ignores."""
        if name in self.specials:
            return self.specials[name](values)
        if self.tags is not None and name in TAG_FILTERS:
            return TAG_FILTERS[name](self, _words(values))
        if name in self.constants:
            constant = self.constants[name]
            wanted = [boolean(value) if isinstance(constant, bool) else value for value in values]
            return true() if constant in wanted else false()
        if name == "changed_since":
            return and_(*(self.model.updated_at >= _moment(value) for value in values))
        return _matches(self.columns[name], values) if name in self.columns else None


def _matches(column: Any, values: Sequence[str]) -> Clause:
    wanted: list[Any] = list(values)
    if isinstance(column.type, Boolean):
        wanted = [boolean(value) for value in values]
    elif isinstance(column.type, Integer):
        wanted = [integer(value) for value in values]
    return or_(column.in_(wanted))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise BadRequest(f"'{text}' is not a valid date and time.", kind="InvalidInput") from error


def _words(values: Sequence[str]) -> list[str]:
    return [word for value in values for word in value.split(",")]


def _all_tags(listing: Listing, words: Sequence[str]) -> Clause:
    return and_(*(_any_tag(listing, [word]) for word in words))


def _any_tag(listing: Listing, words: Sequence[str]) -> Clause:
    tagged = select(listing.tags.resource_id).where(listing.tags.tag.in_(words))
    return or_(listing.model.id.in_(tagged))


TAG_FILTERS: Mapping[str, Callable[[Listing, Sequence[str]], Clause]] = {
    "tags": _all_tags,
    "tags-any": _any_tag,
    "not-tags": lambda listing, words: ~_all_tags(listing, words),
    "not-tags-any": lambda listing, words: ~_any_tag(listing, words),
}


@dataclass
class Page:
    """The paging part of a query string."""

    limit: int | None
    marker: str | None
    reverse: bool
    order: list[tuple[Any, bool]]  # (column, ascending)

    @classmethod
    def of(cls, listing: Listing, query: Mapping[str, Sequence[str]]) -> "Page":
        """Read it, or raise a BadRequest."""
        limit = integer(query["limit"][-1]) if "limit" in query else 0
        if limit < 0:
            raise BadRequest("Invalid input for operation: limit must not be negative.", kind="InvalidInput")
        keys, directions = query.get("sort_key", ()), query.get("sort_dir", ())
        if directions and len(keys) != len(directions):
            raise BadRequest("The number of sort_keys and sort_dirs must be same")
        if not set(directions) <= {"asc", "desc"}:
            raise BadRequest("The sort direction must be asc or desc")
        order = []
        for key, direction in zip(keys, directions or ["asc"] * len(keys), strict=True):
            if key not in listing.columns:
                raise BadRequest(f"'{key}' is an invalid attribute for sort keys")
            order.append((listing.columns[key], direction == "asc"))
        if not order:
            order.append((listing.model.created_at, True))
        order.append((listing.model.id, True))
        reverse = boolean(query.get("page_reverse", ["false"])[-1])
        return cls(limit or None, query.get("marker", [None])[-1], reverse, order)

    def apply(self, session: Session, query: Any, model: Any) -> Any:
        """*query* sorted and cut; the marker's row must exist, else a KeyError."""
        order = [(column, ascending != self.reverse) for column, ascending in self.order]
        if self.marker is not None:
            row = session.execute(select(*(column for column, _ in order)).where(model.id == self.marker)).first()
            if row is None:
                raise KeyError(self.marker)
            query = query.where(_behind(order, list(row)))
        return query.order_by(*(column.asc() if up else column.desc() for column, up in order)).limit(self.limit)


def _behind(order: Sequence[tuple[Any, bool]], values: Sequence[Any]) -> Clause:
    """Rows that come after *values* in *order*. NULL sorts first, as both databases do it."""
    alternatives = []
    for position, ((column, ascending), value) in enumerate(zip(order, values, strict=True)):
        same = [other.is_not_distinct_from(held) for (other, _), held in zip(order[:position], values, strict=False)]
        if value is None:
            beyond = column.is_not(None) if ascending else false()
        else:
            beyond = column > value if ascending else or_(column < value, column.is_(None))
        alternatives.append(and_(*same, beyond))
    return or_(*alternatives)


def links(url: str, query: Mapping[str, Sequence[str]], page: Page, ids: Sequence[str]) -> list[dict[str, str]]:
    """The links to the pages before and after the one that holds *ids*."""
    if page.limit is None:
        return []
    kept = [(key, value) for key, values in query.items() for value in values if key not in ("marker", "page_reverse")]
    result = []
    full = len(ids) == page.limit
    if ids and (full if not page.reverse else page.marker is not None):
        result.append({"rel": "next", "href": f"{url}?{urlencode([*kept, ('marker', ids[-1])])}"})
    if ids and (full if page.reverse else page.marker is not None):
        back = [*kept, ("marker", ids[0]), ("page_reverse", "True")]
        result.append({"rel": "previous", "href": f"{url}?{urlencode(back)}"})
    return result

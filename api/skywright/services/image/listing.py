"""Listing images: pages, order, links."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, func, or_, select

from skywright.http import BadRequest, Context, NotFound
from skywright.services.image import filters, views
from skywright.services.image.access import visible_image
from skywright.services.image.tables import Image

DEFAULT_LIMIT = 25
MAX_LIMIT = 1000
# NULL comes first, as in MySQL: comparing with a value in its place is what lets a page begin after it.
SORT_KEYS: dict[str, ColumnElement[Any]] = {
    "id": Image.id.expression,
    "name": func.coalesce(Image.name, ""),
    "status": Image.status.expression,
    "container_format": func.coalesce(Image.container_format, ""),
    "disk_format": func.coalesce(Image.disk_format, ""),
    "size": func.coalesce(Image.size, -1),
    "created_at": Image.created_at.expression,
    "updated_at": Image.updated_at.expression,
}
DIRECTIONS = ("asc", "desc")
Order = Sequence[tuple[str, str]]


def page(context: Context) -> dict[str, Any]:
    """One page of the images that the request asks for, with the way to the next."""
    query = list(context.request.query_params.multi_items())
    limit = _limit(context.request.query_params.get("limit"))
    order = _order(query)
    statement = select(Image).where(Image.deleted_at.is_(None), *filters.conditions(context, query))
    marker = context.request.query_params.get("marker")
    if marker is not None:
        statement = statement.where(_after(context, order, marker))
    columns = [SORT_KEYS[key].desc() if direction == "desc" else SORT_KEYS[key].asc() for key, direction in order]
    rows = context.db.scalars(statement.order_by(*columns).limit(limit + 1)).all() if limit else []
    body: dict[str, Any] = {
        "images": [views.image(row) for row in rows[:limit]],
        "first": _link([pair for pair in query if pair[0] != "marker"]),
        "schema": "/v2/schemas/images",
    }
    if len(rows) > limit:
        body["next"] = _link([*(pair for pair in query if pair[0] != "marker"), ("marker", rows[limit - 1].id)])
    return body


def _link(query: list[tuple[str, str]]) -> str:
    return f"/v2/images?{urlencode(query)}" if query else "/v2/images"


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit()):
        raise BadRequest("limit param must be an integer that is not negative")
    return min(int(text[:10]), MAX_LIMIT)


def _order(query: list[tuple[str, str]]) -> Order:
    """The keys to sort by with their directions; the last ones make the order total."""
    wanted = [value for name, value in query if name == "sort"]
    keys = [value for name, value in query if name == "sort_key"]
    directions = [value for name, value in query if name == "sort_dir"]
    if wanted and (keys or directions):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    if wanted:
        pairs = [part.strip().partition(":") for text in wanted for part in text.split(",")]
        order = [(key.strip(), direction.strip() or "desc") for key, _, direction in pairs]
    else:
        if len(directions) > 1 and len(directions) != len(keys):
            raise BadRequest("Number of sort dirs does not match the number of sort keys")
        keys = keys or ["created_at"]
        directions = directions if len(directions) > 1 else (directions or ["desc"]) * len(keys)
        order = list(zip(keys, directions, strict=False))
    for key, direction in order:
        if key not in SORT_KEYS:
            raise BadRequest(f"Invalid sort key: {key}. It must be one of: {', '.join(SORT_KEYS)}.")
        if direction not in DIRECTIONS:
            raise BadRequest(f"Invalid sort direction: {direction}. It must be one of: asc, desc.")
    total: dict[str, str] = {}
    for key, direction in [*order, ("created_at", order[0][1]), ("id", order[0][1])]:
        total.setdefault(key, direction)
    return list(total.items())


def _after(context: Context, order: Order, marker: str) -> ColumnElement[bool]:
    """What comes after the image *marker* in *order*."""
    try:
        row = visible_image(context, marker)
    except NotFound as error:
        raise BadRequest(f"Marker {marker} could not be found.") from error
    place = context.db.execute(select(*(SORT_KEYS[key] for key, _ in order)).where(Image.id == row.id)).one()
    branches = []
    for index, (key, direction) in enumerate(order):
        column, value = SORT_KEYS[key], place[index]
        beyond = column < value if direction == "desc" else column > value
        equal = [SORT_KEYS[earlier] == place[position] for position, (earlier, _) in enumerate(order[:index])]
        branches.append(and_(*equal, beyond))
    return or_(*branches)

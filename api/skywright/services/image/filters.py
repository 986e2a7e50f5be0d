"""The filters of image lists."""

import csv
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, false, or_
from sqlalchemy.orm import InstrumentedAttribute

from skywright.http import BadRequest, Context
from skywright.services.image.access import visible
from skywright.services.image.tables import Image, ImageTag

PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "member_status"})
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
LISTABLE: dict[str, InstrumentedAttribute[Any]] = {
    "id": Image.id,
    "name": Image.name,
    "status": Image.status,
    "container_format": Image.container_format,
    "disk_format": Image.disk_format,
}
TEXTS: dict[str, InstrumentedAttribute[Any]] = {
    "owner": Image.project_id,
    "checksum": Image.checksum,
    "os_hash_algo": Image.os_hash_algo,
    "os_hash_value": Image.os_hash_value,
}
NUMBERS: dict[str, tuple[InstrumentedAttribute[Any], str]] = {
    "size": (Image.size, "eq"),
    "size_min": (Image.size, "gte"),
    "size_max": (Image.size, "lte"),
    "virtual_size": (Image.virtual_size, "eq"),
    "min_ram": (Image.min_ram, "eq"),
    "min_disk": (Image.min_disk, "eq"),
}
MOMENTS: dict[str, InstrumentedAttribute[Any]] = {"created_at": Image.created_at, "updated_at": Image.updated_at}
VISIBILITIES = ("public", "private", "shared", "community", "all")
MEMBER_STATUSES = ("accepted", "pending", "rejected", "all")


def conditions(context: Context, query: list[tuple[str, str]]) -> list[ColumnElement[bool]]:
    """What the images that *query* asks for fulfil; only images that the caller may see do."""
    given = dict(query)
    member_status = given.get("member_status", "accepted")
    if member_status not in MEMBER_STATUSES:
        raise BadRequest(f"Invalid status: {member_status}")
    found = [visible(context, member_status), _visibility(context, given.pop("visibility", None))]
    found.append(Image.os_hidden == _boolean("os_hidden", given.pop("os_hidden", "false")))
    found += [_condition(name, value) for name, value in query if name in given and name not in PAGING]
    return found


def _visibility(context: Context, value: str | None) -> ColumnElement[bool]:
    """Community images are listed for those who ask for them, and for their owner."""
    if value is None:
        return or_(Image.visibility != "community", Image.project_id == context.who.project_id)
    if value not in VISIBILITIES:
        raise BadRequest(f"Invalid visibility value: {value}")
    return Image.id.is_not(None) if value == "all" else Image.visibility == value


def _condition(name: str, value: str) -> ColumnElement[bool]:
    if name in LISTABLE:
        return _listable(name, value)
    if name in NUMBERS:
        column, comparison = NUMBERS[name]
        return _compared(column, comparison, _number(name, value))
    if name in MOMENTS:
        return _moment(name, value)
    if name == "protected":
        return Image.protected == _boolean(name, value)
    if name == "tag":
        return exists().where(ImageTag.image_id == Image.id, ImageTag.value == value)
    return TEXTS[name] == value if name in TEXTS else _property(name, value)


def _compared(column: InstrumentedAttribute[Any], comparison: str, value: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = COMPARISONS[comparison](column, value)
    return condition


def _listable(name: str, value: str) -> ColumnElement[bool]:
    """`in:a,b` with quotes around values that hold a comma, `eq:a`, or the plain value."""
    kind, colon, rest = value.partition(":")
    if colon and kind == "in":
        try:
            return LISTABLE[name].in_(next(csv.reader([rest], strict=True), []))
        except csv.Error as error:
            raise BadRequest(f"Invalid filter value {value}: {error}") from error
    if colon and kind == "eq":
        return LISTABLE[name] == rest
    if colon and kind in COMPARISONS:
        raise BadRequest(f"Unable to filter {name} by the operator {kind}.")
    return LISTABLE[name] == value


def _moment(name: str, value: str) -> ColumnElement[bool]:
    kind, colon, rest = value.partition(":")
    if not colon or kind not in COMPARISONS:
        kind, rest = "eq", value
    try:
        moment = datetime.fromisoformat(rest)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"Invalid time {rest!r} in filter {name}.") from error
    return _compared(MOMENTS[name], kind, moment)


def _property(name: str, value: str) -> ColumnElement[bool]:
    # These cannot be told apart from the syntax of a JSON path.
    if any(character in name for character in '"\\\0'):
        return false()
    condition: ColumnElement[bool] = Image.properties[name].as_string() == value
    return condition


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise BadRequest(f"Invalid value {value!r} of filter {name}: it must be an integer that is not negative.")
    return int(value)


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"Invalid value {value!r} of filter {name}: it must be true or false.")
    return value.lower() == "true"

"""The filters of image lists."""

import csv
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, false, or_
from sqlalchemy.orm import InstrumentedAttribute

from skywright.http import BadRequest, Context, fields
from skywright.services.image.access import visible
from skywright.services.image.tables import Image, ImageTag

PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "member_status"})
# The shown times have whole seconds.
COMPARISONS: dict[str, Callable[[Any, datetime], ColumnElement[bool]]] = {
    "eq": fields.within,
    "neq": lambda column, moment: ~fields.within(column, moment),
    "gt": lambda column, moment: column >= fields.end_of(moment),
    "gte": lambda column, moment: column >= moment,
    "lt": lambda column, moment: column < moment,
    "lte": lambda column, moment: column < fields.end_of(moment),
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
NUMBERS: dict[str, InstrumentedAttribute[Any]] = {
    "size": Image.size,
    "virtual_size": Image.virtual_size,
    "min_ram": Image.min_ram,
    "min_disk": Image.min_disk,
}
MOMENTS: dict[str, InstrumentedAttribute[Any]] = {"created_at": Image.created_at, "updated_at": Image.updated_at}
VISIBILITIES = ("public", "private", "shared", "community", "all")
MEMBER_STATUSES = ("accepted", "pending", "rejected", "all")


def conditions(context: Context, query: list[tuple[str, str]]) -> list[ColumnElement[bool]]:
    """Return the clauses for the images that *query* selects, of those that the caller may see."""
    given = dict(query)
    if given.get("changes-since"):
        raise BadRequest('The "changes-since" filter is no longer available on v2.')
    member_status = given.get("member_status", "accepted")
    if member_status not in MEMBER_STATUSES:
        raise BadRequest(f"Invalid status: {member_status}")
    found = [visible(context, member_status), _visibility(context, given.pop("visibility", None))]
    found.append(Image.os_hidden == _boolean("os_hidden", given.pop("os_hidden", "false")))
    found += [_condition(name, value) for name, value in query if name in given and name not in PAGING]
    return found


def _visibility(context: Context, value: str | None) -> ColumnElement[bool]:
    """Return the clause for visibilities: community images are listed only on request, and for their owner."""
    if value is None:
        return or_(Image.visibility != "community", Image.project_id == context.caller.project_id)
    if value not in VISIBILITIES:
        raise BadRequest(f"Invalid visibility value: {value}")
    return Image.id.is_not(None) if value == "all" else Image.visibility == value


def _condition(name: str, value: str) -> ColumnElement[bool]:
    if name in LISTABLE:
        return _listable(name, value)
    if name.removesuffix("_min").removesuffix("_max") in NUMBERS:
        return _numeric(name, value)
    if name in MOMENTS:
        return _moment(name, value)
    if name == "protected":
        return Image.protected == _boolean(name, value)
    if name == "tag":
        return exists().where(ImageTag.image_id == Image.id, ImageTag.value == value)
    return TEXTS[name] == value if name in TEXTS else _property(name, value)


def _listable(name: str, value: str) -> ColumnElement[bool]:
    """Return the operator and values of `in:a,b` (values with a comma are quoted), `eq:a`, or a plain value."""
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


def _numeric(name: str, value: str) -> ColumnElement[bool]:
    """Return the clause for `size=`, or for `size_min=` and `size_max=`."""
    number = _number(name, value)
    if name in NUMBERS:
        return NUMBERS[name] == number
    column = NUMBERS[name.rpartition("_")[0]]
    return column >= number if name.endswith("_min") else column <= number


def _moment(name: str, value: str) -> ColumnElement[bool]:
    kind, colon, rest = value.partition(":")
    if not colon or kind not in COMPARISONS:
        kind, rest = "eq", value
    try:
        return COMPARISONS[kind](MOMENTS[name], fields.moment(rest))
    except ValueError:
        raise BadRequest(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.') from None


def _property(name: str, value: str) -> ColumnElement[bool]:
    # These characters are syntax in a JSON path.
    if any(character in name for character in '"\\\0'):
        return false()
    condition: ColumnElement[bool] = Image.properties[name].as_string() == value
    return condition


def _number(name: str, value: str) -> int:
    try:
        return fields.natural(value)
    except ValueError:
        raise BadRequest(f"Invalid value '{value}' for '{name}' filter: it is not an integer of 0 or more.") from None


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return value.lower() == "true"

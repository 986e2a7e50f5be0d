"""JSON patches of images, in both of Glance's media types."""

import re
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from skywright.http import ApiError, BadRequest, Conflict, Context, Forbidden
from skywright.services.image import schemas
from skywright.services.image.attributes import SETTABLE, assign, refuse_read_only
from skywright.services.image.bodies import parsed
from skywright.services.image.tables import Image

OPERATIONS = ("add", "replace", "remove")
V20 = "application/openstack-images-v2.0-json-patch"
V21 = "application/openstack-images-v2.1-json-patch"


class Change(NamedTuple):
    """One operation on one attribute or property."""

    operation: str
    name: str
    value: Any


async def _changes(request: Request) -> list[Change]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (V20, V21):
        raise ApiError(f"Unsupported content type {media_type!r}; this resource takes {V21} and {V20}.", status=415)
    body = await parsed(request)
    if not isinstance(body, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    return [_change(item, media_type) for item in body]


Changes = Annotated[list[Change], Depends(_changes)]


def apply(context: Context, row: Image, changes: list[Change]) -> None:
    """Apply *changes* to the image, in order."""
    for change in changes:
        exists = change.name in SETTABLE or change.name in row.properties
        if change.operation != "add" and not exists:
            raise Conflict(f"Property {change.name} does not exist.")
        if change.operation != "remove":
            assign(context, row, change.name, change.value)
        elif change.name in SETTABLE:
            raise Forbidden(f"Property {change.name} may not be removed.")
        else:
            row.properties = {name: value for name, value in row.properties.items() if name != change.name}


def _change(item: Any, media_type: str) -> Change:
    if not isinstance(item, dict):
        raise BadRequest("Operations must be JSON objects.")
    operation, pointer = _operation(item, media_type)
    name = _name(pointer)
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.")
    refuse_read_only(name)
    if operation == "remove":
        return Change(operation, name, None)
    if "value" not in item:
        raise BadRequest(f'Operation "{operation}" requires a member named "value".')
    schemas.check_image({name: item["value"]})
    return Change(operation, name, item["value"])


def _operation(item: dict[str, Any], media_type: str) -> tuple[str, Any]:
    """Return the operation and its JSON pointer: v2.1 has members "op" and "path", v2.0 one member with the operation's
    name.
    """
    if media_type == V21:
        operation = item.get("op")
        if operation not in OPERATIONS:
            raise BadRequest(f"Operations must be one of {', '.join(OPERATIONS)}.")
        return operation, item.get("path")
    named = [operation for operation in OPERATIONS if operation in item]
    if len(named) != 1:
        raise BadRequest('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return named[0], item[named[0]]


def _name(pointer: Any) -> str:
    """Return the attribute that a JSON pointer of depth one selects."""
    if not isinstance(pointer, str) or not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise BadRequest(f"Pointer {pointer!r} is not a valid JSON pointer.")
    if "/" in pointer[1:]:
        raise BadRequest(f"Pointer {pointer!r} is too deep: only whole attributes can be changed.")
    return pointer[1:].replace("~1", "/").replace("~0", "~").strip()

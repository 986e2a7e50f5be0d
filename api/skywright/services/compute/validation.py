"""Types of Nova's request fields, for the pydantic models of the routes."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any

import netaddr
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticKnownError

from skywright.http import BadRequest, fields
from skywright.http.bodies import misfit, plain

MAX_INTEGER = 0x7FFFFFFF
KEY = r"^[a-zA-Z0-9\-_:. ]{1,255}$"  # of metadata and extra specs


def unexpected(names: Iterable[str]) -> BadRequest:
    """Return the message for fields that the request's microversion does not have."""
    listed = [f"'{name}'" for name in names]
    verb = "was" if len(listed) == 1 else "were"
    return BadRequest(f"Additional properties are not allowed ({', '.join(listed)} {verb} unexpected)")


def printable(text: str) -> str:
    """Return *text* if it has no control, unassigned or line-breaking characters."""
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in ("Zl", "Zp"):
            raise ValueError("Only printable characters are allowed.")
    return text


def valid_name(text: str) -> str:
    """Return *text* if it is a valid name in Nova: printable, without white space at its ends."""
    if text != text.strip():
        raise ValueError("The name must be: printable characters. Can not start or end with whitespace.")
    return printable(text)


def _multiline(text: str) -> str:
    """Return *text* if its only control characters are line ends and tabs."""
    printable(re.sub(r"[\r\n\t]", "", text))
    return text


def _boolean(value: Any) -> Any:
    """Return the boolean in one of Nova's spellings."""
    if isinstance(value, bool):
        return value
    try:
        return fields.boolean(value)
    except (AttributeError, ValueError):
        raise PydanticKnownError("bool_type") from None


def _integer(value: Any) -> Any:
    """Return the integer. Nova accepts numbers as strings, but neither booleans nor fractions."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticKnownError("int_type")
    if isinstance(value, str) and not re.fullmatch(r"-?\d{1,10}", value, re.ASCII):
        raise PydanticKnownError("int_parsing")
    return int(value)


def _number(value: Any) -> Any:
    """Return the value unless it is a boolean, which pydantic would convert."""
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    return value


def _ip(text: str) -> str:
    try:
        return str(netaddr.IPAddress(text))
    except (netaddr.AddrFormatError, ValueError):
        raise misfit("ip") from None


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(valid_name)]
Reason = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(plain)]
Description = Annotated[str, Field(max_length=255), AfterValidator(_multiline)]
LongDescription = Annotated[str, Field(max_length=65535), AfterValidator(_multiline)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Number = Annotated[float, BeforeValidator(_number)]
Integer = Annotated[int, BeforeValidator(_integer), Field(le=MAX_INTEGER)]
Natural = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=MAX_INTEGER)]
Positive = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=MAX_INTEGER)]
Metadata = dict[Annotated[str, Field(pattern=KEY)], Annotated[str, Field(max_length=255), AfterValidator(plain)]]
Identifier = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(printable)]
IpAddress = Annotated[str, AfterValidator(_ip)]

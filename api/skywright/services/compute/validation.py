"""Types of Nova's request fields, for the pydantic models of the routes."""

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from skywright.http import fields

MAX_INTEGER = 0x7FFFFFFF
METADATA_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}", re.ASCII)


class Strict(BaseModel):
    """A body in which unknown fields are mistakes, as in Nova's schemas."""

    model_config = ConfigDict(extra="forbid")


def printable(text: str) -> str:
    """*text* if no control, unassigned or line-breaking character is in it."""
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in ("Zl", "Zp"):
            raise ValueError("only printable characters are allowed")
    return text


def plain(text: str) -> str:
    """*text* if it can be stored and sent: whole characters, none of them NUL."""
    text.encode()  # half of a surrogate pair is a ValueError
    if "\0" in text:
        raise ValueError("NUL characters are not allowed")
    return text


def valid_name(text: str) -> str:
    """*text* if it is a name of Nova's: printable, and without white space at its ends."""
    if text != text.strip():
        raise ValueError("it must not begin or end with white space")
    return printable(text)


def _multiline(text: str) -> str:
    """Text that may have line ends and tabs, but no other control characters."""
    printable(re.sub(r"[\r\n\t]", "", text))
    return text


def _boolean(value: Any) -> Any:
    """Nova's spellings of booleans."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return fields.boolean(value)
    raise ValueError("it must be a boolean")


def _integer(value: Any) -> Any:
    """Nova takes numbers in strings, but neither booleans nor fractions."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("it must be an integer")
    if isinstance(value, str) and not re.fullmatch(r"-?\d{1,10}", value, re.ASCII):
        raise ValueError("it must be an integer")
    return int(value)


def _metadata(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if not METADATA_KEY.fullmatch(key):
            raise ValueError("keys are 1 to 255 of the characters a-z A-Z 0-9 - _ : . and space")
        if len(text) > 255:
            raise ValueError("values are at most 255 characters long")
        plain(text)
    return value


Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(valid_name)]
Reason = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(plain)]
Description = Annotated[str, Field(max_length=255), AfterValidator(_multiline)]
LongDescription = Annotated[str, Field(max_length=65535), AfterValidator(_multiline)]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Integer = Annotated[int, BeforeValidator(_integer), Field(le=MAX_INTEGER)]
Natural = Annotated[int, BeforeValidator(_integer), Field(ge=0, le=MAX_INTEGER)]
Positive = Annotated[int, BeforeValidator(_integer), Field(ge=1, le=MAX_INTEGER)]
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
Identifier = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(printable)]

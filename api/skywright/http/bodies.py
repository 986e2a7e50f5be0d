"""Types of fields and models that the request bodies of several services share."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    JsonValue,
    ValidationError,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError

from skywright.errors import BadRequest
from skywright.validation import Explanation, mistakes_in

Value = TypeVar("Value")


class Strict(BaseModel):
    """A body without unknown fields: they are errors."""

    model_config = ConfigDict(extra="forbid")

    def given(self, *names: str) -> dict[str, Any]:
        """Return the fields of *names* that the request contains."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class _NotNull:
    """Removes null from the values of an optional type."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


# An optional field: None if it is missing, but null is not allowed.
Omittable = Annotated[Value | None, _NotNull()]


def _emptied(value: Any) -> Any:
    return [] if value is None else value


# A list for which null means an empty list.
EmptyIfNull = Annotated[Value, BeforeValidator(_emptied)]


def plain(text: str) -> str:
    """Return *text* if it can be stored and sent: no halves of surrogate pairs, no NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticKnownError("string_unicode") from None
    if "\0" in text:
        raise ValueError("NUL characters are not allowed.")
    return text


def storable(value: Value) -> Value:
    """Return *value* if JSON can represent it; else raise a ValueError. Infinite numbers, as `1e400`, become null."""
    with suppress(TypeError):
        if orjson.loads(orjson.dumps(value)) == value:
            return value
    raise ValueError("It has characters or numbers that JSON has not.")


# Any JSON that can be stored.
Json = Annotated[JsonValue, AfterValidator(storable)]


def misfit(kind: str) -> PydanticCustomError:
    """Return the error for a text that does not have the format *kind*: `'x' is not a 'uuid'`."""
    return PydanticCustomError("format", "not of the format", {"format": kind})


def only_empty(reason: str) -> AfterValidator:
    """Return a validator that allows only false and empty values: others would have no effect, because of *reason*."""

    def check(value: Any) -> Any:
        if value:
            raise ValueError(reason)
        return value

    return AfterValidator(check)


def checked(validate: Callable[[Any], Value], value: object, explain: Explanation, *at: str) -> Value:
    """Return the result of *validate*, a method of a model, for *value*; *at* is the place of the value in the body.

    Raises BadRequest with the service's message, from *explain*.
    """
    try:
        return validate(value)
    except ValidationError as error:
        raise BadRequest("; ".join(map(explain, mistakes_in(error, value, *at)))) from None

"""Types of fields and models that the request bodies of several services share."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError

from skywright.errors import BadRequest
from skywright.validation import Explanation, mistakes_in

Value = TypeVar("Value")


class Strict(BaseModel):
    """A body in which fields that we do not know are mistakes."""

    model_config = ConfigDict(extra="forbid")

    def given(self, *names: str) -> dict[str, Any]:
        """The fields that the request brought, of those *names*."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class _NotNull:
    """Makes an optional type one that null does not fit."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


# A field that may be left out, which is None then, but not be null.
Omittable = Annotated[Value | None, _NotNull()]


def _emptied(value: Any) -> Any:
    return [] if value is None else value


# A list for which null is the empty one.
EmptyIfNull = Annotated[Value, BeforeValidator(_emptied)]


def plain(text: str) -> str:
    """*text* if it can be stored and sent: whole characters, none of them NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticKnownError("string_unicode") from None
    if "\0" in text:
        raise ValueError("NUL characters are not allowed.")
    return text


def misfit(kind: str) -> PydanticCustomError:
    """The error of a text that is not of the format *kind*: `'x' is not a 'uuid'`."""
    return PydanticCustomError("format", "not of the format", {"format": kind})


def only_empty(reason: str) -> AfterValidator:
    """Only false or empty values fit: others would have no effect, for *reason*."""

    def check(value: Any) -> Any:
        if value:
            raise ValueError(reason)
        return value

    return AfterValidator(check)


def checked(validate: Callable[[Any], Value], value: object, explain: Explanation, *at: str) -> Value:
    """What *validate*, a method of a model, makes of *value*, which is *at* this place in the body.

    BadRequest says what is wrong with it in the service's words, *explain*.
    """
    try:
        return validate(value)
    except ValidationError as error:
        raise BadRequest("; ".join(map(explain, mistakes_in(error, value, *at)))) from None

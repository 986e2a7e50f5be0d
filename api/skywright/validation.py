"""Errors in documents, with the messages of JSON Schema: pydantic's own messages name Python types.

This module is not in `http`, because workers validate documents, too, and must not load the web framework.
"""

import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from skywright.redact import HIDDEN, is_secret

Path = tuple[str | int, ...]
ANY_OF = "any_of"  # the kind of an error if a value fits none of several types
NAMED = frozenset({"missing", "extra_forbidden"})  # kinds of errors about a property of the value
TEXT, INTEGER, BOOLEAN = ("string_type",), ("int_type", "int_parsing", "int_from_float"), ("bool_type", "bool_parsing")
NUMBER = ("float_type", "float_parsing", "finite_number")
ARRAY = ("list_type",)
OBJECT = ("dict_type", "model_type", "model_attributes_type", "mapping_type")


def words(text: str, kinds: Iterable[str]) -> dict[str, str]:
    """Return {kind: *text*} for several kinds of errors."""
    return dict.fromkeys(kinds, text)


# {pydantic's kind: the message of the JSON Schema keyword, as the library `jsonschema` has it}
JSON_SCHEMA = {
    **words("{value} is not of type 'string'", TEXT),
    **words("{value} is not of type 'integer'", INTEGER),
    **words("{value} is not of type 'number'", NUMBER),
    **words("{value} is not of type 'boolean'", BOOLEAN),
    **words("{value} is not of type 'array'", ARRAY),
    **words("{value} is not of type 'object'", OBJECT),
    "missing": "{name} is a required property",
    "extra_forbidden": "Additional properties are not allowed ({name} was unexpected)",
    "string_too_short": "{value} is too short",
    "string_too_long": "{value} is too long",
    "string_unicode": "Half of a surrogate pair is not a character.",
    "string_pattern_mismatch": "{value} does not match '{pattern}'",
    "too_short": "{value} is too short",
    "too_long": "{value} is too long",
    "int_parsing_size": "{value} is too long",
    "greater_than": "{value} is less than or equal to the minimum of {gt}",
    "greater_than_equal": "{value} is less than the minimum of {ge}",
    "less_than": "{value} is greater than or equal to the maximum of {lt}",
    "less_than_equal": "{value} is greater than the maximum of {le}",
    "literal_error": "{value} is not one of [{expected}]",
    "unique": "{value} has non-unique elements",
    "format": "{value} is not a '{format}'",
    "value_error": "{error}",
    "json_invalid": "Malformed JSON in request body: {error}",
    ANY_OF: "{value} is not valid under any of the given schemas",
}
UNKNOWN = "{value} is not valid"


class _Short(reprlib.Repr):
    """Values in Python's notation, with at most a few entries of each container, and without secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxstring = 4, 8, 8, 100

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """Hide the values of keys that name secrets."""
        shown = {key: HIDDEN if value is not None and is_secret(str(key)) else value for key, value in x.items()}
        return super().repr_dict(shown, level)


_SHORT = _Short()


@dataclass(frozen=True)
class Mistake:
    """An error in a document: *path* leads to the wrong *value*. *kind* is pydantic's, with its *details*.

    *part* is the part of the request: `body`, `query` or `path`.
    """

    part: str
    path: Path
    value: Any
    kind: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The missing or unexpected property, in quotes."""
        return str(self.details.get("name", ""))

    @property
    def shown(self) -> str:
        """The value for messages: shortened, and hidden if it is a secret."""
        secret = any(is_secret(str(step)) for step in self.path)
        return _SHORT.repr(HIDDEN if secret and self.value is not None else self.value)

    def message(self, words: Mapping[str, str] = JSON_SCHEMA, value: str | None = None) -> str:
        """Return the message from *words*; *value* replaces the value in it."""
        if isinstance(self.value, bytes) and not self.path:
            return "The request body must be JSON, and its Content-Type application/json."
        if self.kind == "missing" and not self.name:
            return f"The request has no {self.part}."
        text = words.get(self.kind, UNKNOWN)
        return text.format(**{**self.details, "value": self.shown if value is None else value})


Explanation = Callable[[Mistake], str]


def mistakes(errors: Sequence[Mapping[str, Any]], parts: Mapping[str, Any], *, at_most: int = 5) -> list[Mistake]:
    """Return the first of pydantic's *errors*, whose locations begin with a name in *parts*: {"body": {...}}."""
    found: dict[tuple[str, Path], list[Mistake]] = {}
    for error in errors:
        mistake, choice = _located(error, parts)
        found.setdefault((mistake.part, choice), []).append(mistake)
    return [each for (_, choice), group in found.items() for each in _chosen(group, choice)][:at_most]


def mistakes_in(error: ValidationError, document: Any, *at: str, at_most: int = 5) -> list[Mistake]:
    """Return the first mistakes in a *document* that pydantic refused; *at* is its place in the request's body."""
    errors = [{**item, "loc": ("body", *at, *item["loc"])} for item in error.errors()]
    for name in reversed(at):
        document = {name: document}
    return mistakes(errors, {"body": document}, at_most=at_most)


def _located(error: Mapping[str, Any], parts: Mapping[str, Any]) -> tuple[Mistake, Path]:
    """Return the mistake, and the path where a choice of types begins (without a choice: the path of the mistake).

    The locations of pydantic include the types that it tried, which are not in the document.
    """
    part, *steps = error["loc"]
    kind, details = error["type"], {key: str(value) for key, value in (error.get("ctx") or {}).items()}
    if kind in NAMED and steps:
        details["name"] = _SHORT.repr(str(steps.pop()))
    value: Any = parts.get(part)
    path: list[str | int] = []
    choice: Path | None = None
    if kind == "json_invalid":
        steps, value = [], None
    for step in steps:
        if step == "[key]" and path:  # it is the key that is wrong
            value = path.pop()
        elif _has(value, step):
            value = value[step]
            path.append(step[:255] if isinstance(step, str) else step)
        elif choice is None:
            choice = tuple(path)
    if kind == "literal_error":
        details["expected"] = details["expected"].replace(" or ", ", ")
    return Mistake(part, tuple(path), value, kind, details), tuple(path) if choice is None else choice


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _chosen(group: list[Mistake], choice: Path) -> list[Mistake]:
    """Return the mistakes of the type that fits best, of those of one choice."""
    depth = max(len(mistake.path) for mistake in group)
    deepest = [mistake for mistake in group if len(mistake.path) == depth]
    if depth == len(choice) and len(deepest) > 1 and not any(mistake.kind in NAMED for mistake in deepest):
        return [Mistake(deepest[0].part, choice, deepest[0].value, ANY_OF)]
    return deepest

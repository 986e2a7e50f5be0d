"""Neutron's error format and messages."""

from collections.abc import Sequence
from typing import Any

from skywright.errors import ApiError, BadRequest
from skywright.validation import ARRAY, BOOLEAN, INTEGER, JSON_SCHEMA, OBJECT, TEXT, Mistake, words

NAMED = "NeutronBadRequest"
# Errors without an exception in Neutron have webob's names there.
TYPES = {"BadRequest": "HTTPBadRequest", "NotFound": "HTTPNotFound", "Conflict": "HTTPConflict", NAMED: "BadRequest"}

# Messages of Neutron's converters. Its validators' messages begin with "Invalid input for ATTRIBUTE".
CONVERTED = frozenset(INTEGER + BOOLEAN)
WORDS = JSON_SCHEMA | {
    **words("{value} is not a valid string", TEXT),
    **words("{value} is not an integer", INTEGER),
    **words("{value} cannot be converted to boolean", BOOLEAN),
    **words("{value} is not a list", ARRAY),
    **words("{value} is not a dictionary", OBJECT),
    "missing": "{name} is missing",
    "extra_forbidden": "Unexpected keys supplied: {name}",
    "string_too_long": "{value} exceeds maximum length of {max_length}",
    "string_too_short": "{value} is shorter than {min_length}",
    "string_pattern_mismatch": "{value} is not a valid input",
    "greater_than_equal": "{value} is too small - must be at least '{ge}'",
    "less_than": "{value} is too large - must be less than '{lt}'",
    "less_than_equal": "{value} is too large - must be no larger than '{le}'",
    "literal_error": "{value} is not in [{expected}]",
    "format": "{value} is not a valid {format}",
}


def bad(resource: str, text: str) -> BadRequest:
    """Return Neutron's BadRequest: `Bad router request: ...`."""
    return BadRequest(f"Bad {resource} request: {text}.", kind=NAMED)


def explain(mistake: Mistake) -> str:
    """Return the message for a mistake in a resource; the first step of its path is an attribute."""
    message = mistake.message(WORDS)
    if mistake.path and mistake.kind in CONVERTED:
        return f"Invalid input for operation: {message}."
    if mistake.path:
        return f"Invalid input for {mistake.path[0]}. Reason: {message.removesuffix('.')}."
    if mistake.kind == "missing":
        return f"Failed to parse request. Required attribute {mistake.name} not specified"
    if mistake.kind == "extra_forbidden":
        return f"Unrecognized attribute(s) {mistake.name}"
    return message


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"NeutronError": {"type": "NetworkNotFound", "message": "...", "detail": ""}}`."""
    if error.status == 401:
        # In OpenStack, Keystone's middleware answers before Neutron, in its own format.
        return {"error": {"code": 401, "title": error.title, "message": error.message}}
    kind = "PolicyNotAuthorized" if error.kind == "Forbidden" else TYPES.get(error.kind, error.kind)
    return {"NeutronError": {"type": kind, "message": error.message, "detail": ""}}


def refusal(rules: Sequence[str]) -> str:
    """For a request that one of *rules* does not allow: `(rule:create_port and rule:create_port:mac_address) is ...`.

    The parts of an attribute (`create_port:fixed_ips:ip_address`) are joined with it first, as Neutron does.
    """
    names = list(rules)
    expression = f"rule:{names.pop(0)}"
    while names:
        attribute = f"rule:{names.pop(0)}"
        parts = []
        while names and f"rule:{names[0]}".startswith(f"{attribute}:"):
            parts.append(f"rule:{names.pop(0)}")
        if parts:
            attribute = f"({attribute} and ({' and '.join(parts)}))"
        expression = f"({expression} and {attribute})"
    return f"{expression} is disallowed by policy"

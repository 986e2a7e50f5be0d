"""Neutron's error format and words."""

from collections.abc import Sequence
from typing import Any

from skywright.errors import ApiError

# The errors that are not Neutron's own exceptions have webob's names there.
TYPES = {"BadRequest": "HTTPBadRequest", "NotFound": "HTTPNotFound", "Conflict": "HTTPConflict"}


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"NeutronError": {"type": "NetworkNotFound", "message": "...", "detail": ""}}`."""
    if error.status == 401:
        # Keystone's middleware answers in front of Neutron, in its own format.
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

"""Nova's error format."""

from typing import Any

from skywright.errors import ApiError
from skywright.validation import Mistake

FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"itemNotFound": {"code": 404, "message": "..."}}`."""
    return {FAULTS.get(error.status, "computeFault"): {"code": error.status, "message": error.message}}


def explain(mistake: Mistake) -> str:
    """Return the message for a mistake in a body or in a query parameter."""
    if not mistake.path:
        return mistake.message()
    if mistake.part == "query":
        what, name = "query parameters", mistake.path[0]
    else:
        what, name = "field/attribute", mistake.path[-1]
    value = mistake.shown[1:-1] if isinstance(mistake.value, str) else mistake.shown
    return f"Invalid input for {what} {name}. Value: {value}. {mistake.message()}"

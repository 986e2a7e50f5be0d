"""Nova's error format."""

from typing import Any

from skywright.errors import ApiError

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

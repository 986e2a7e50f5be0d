"""The error format of the operations API."""

from typing import Any

from skywright.errors import ApiError


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"error": {"code": 404, "title": "Not Found", "message": "..."}}`."""
    return {"error": {"code": error.status, "title": error.title, "message": error.message}}

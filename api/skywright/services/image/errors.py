"""Glance's error format."""

from typing import Any

from skywright.errors import ApiError


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"message": "...", "code": "404 Not Found", "title": "Not Found"}`."""
    return {"message": error.message, "code": f"{error.status} {error.title}", "title": error.title}

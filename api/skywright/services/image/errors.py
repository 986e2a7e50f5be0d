"""Glance's error format and messages."""

from collections.abc import Sequence
from typing import Any

from skywright.errors import ApiError


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"message": "...", "code": "404 Not Found", "title": "Not Found"}`."""
    return {"message": error.message, "code": f"{error.status} {error.title}", "title": error.title}


def refusal(rules: Sequence[str]) -> str:
    """Return the message for a request that none of *rules* allows."""
    return f"You are not authorized to complete {rules[0]} action."

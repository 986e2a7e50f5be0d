"""Keystone's error format and messages."""

from collections.abc import Sequence
from typing import Any

from skywright.errors import ApiError


def render_error(error: ApiError) -> dict[str, Any]:
    """`{"error": {"code": 404, "title": "Not Found", "message": "..."}}`."""
    return {"error": {"code": error.status, "title": error.title, "message": error.message}}


def refusal(rules: Sequence[str]) -> str:
    """Return the message for a request that none of *rules* allows."""
    return f"You are not authorized to perform the requested action: {rules[0]}."

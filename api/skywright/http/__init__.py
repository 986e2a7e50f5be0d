"""What the routes of all services share: context, policy, errors, routing."""

from skywright.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound, TooLarge, Unauthorized
from skywright.http.context import Context
from skywright.http.router import Router
from skywright.http.service import Service

__all__ = [
    "ApiError",
    "BadRequest",
    "Conflict",
    "Context",
    "Forbidden",
    "NotFound",
    "Router",
    "Service",
    "TooLarge",
    "Unauthorized",
]

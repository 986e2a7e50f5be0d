"""Neutron's error format."""

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

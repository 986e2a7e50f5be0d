"""Moments in requests."""

from datetime import datetime

from skywright.db import utcnow
from skywright.http import BadRequest, fields


def future(text: str | None) -> datetime | None:
    """Return the time in *text* (ISO 8601, UTC by default), which must be in the future."""
    if text is None:
        return None
    try:
        moment = fields.moment(text)
    except ValueError:
        raise BadRequest("expires_at is not a moment in ISO 8601.") from None
    if moment <= utcnow():
        raise BadRequest("expires_at is over already.")
    return moment

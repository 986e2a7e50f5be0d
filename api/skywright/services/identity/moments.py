"""Moments in requests."""

from datetime import UTC, datetime

from skywright.db import utcnow
from skywright.http import BadRequest


def future(text: str | None) -> datetime | None:
    """Return the time in *text* (ISO 8601, UTC by default), which must be in the future."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise BadRequest("expires_at is not a moment in ISO 8601.") from None
    if moment <= utcnow():
        raise BadRequest("expires_at is over already.")
    return moment

"""When a schedule's times are: cron expressions in a time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError


class BadTime(ValueError):
    """The expression or the zone is none."""


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after *after*, both in UTC without saying so.

    Times that a clock change skips or repeats are treated as Debian's cron does: none is lost, none comes twice.
    """
    local = after.replace(tzinfo=UTC).astimezone(_zone(timezone))
    try:
        return next(CronSim(cron, local)).astimezone(UTC).replace(tzinfo=None)
    except (CronSimError, StopIteration) as error:
        raise BadTime(f"{cron!r} is no cron expression, such as '30 2 * * 1-5': {error}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadTime(f"{name!r} is no time zone, such as 'UTC' or 'Europe/Berlin'.") from error

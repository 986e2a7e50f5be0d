"""The times of schedules: cron expressions with five fields, or their names, in a time zone.

Clock changes are handled as by Debian's cron(8). An expression with a fixed minute and hour (neither begins with `*`)
has each of its times once: a time that the clock skips runs at the first moment after the gap, and of a time that the
clock repeats the first counts. Other expressions follow the clock: skipped times do not run, and repeated times run
twice.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS = 5
# Without `@reboot` of crontab(5), which is not a time.
NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# The largest shift back of a clock (Antarctica/Troll): times of the last hours may be repeated.
LONGEST_CHANGE = timedelta(hours=2)
MINUTE = timedelta(minutes=1)


class BadTime(ValueError):
    """The cron expression or the time zone is not valid."""


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first time after *after*, both naive UTC. Raises BadTime if one of them is not valid."""
    zone = _zone(timezone)
    try:
        fields = _fields(cron)
        return _first(CronSim(" ".join(fields), _shown(after, zone) - LONGEST_CHANGE), zone, after, _is_fixed(fields))
    except (CronSimError, StopIteration) as error:
        raise BadTime(f"{cron!r} is not a cron expression, such as '30 2 * * 1-5' or '@daily': {error}") from error


def _fields(cron: str) -> list[str]:
    fields = NAMES.get(cron, cron).split()
    if len(fields) != FIELDS:  # CronSim accepts a sixth field, for seconds
        raise CronSimError("Wrong number of fields")
    return fields


def _is_fixed(fields: list[str]) -> bool:
    minute, hour, *_ = fields
    return not minute.startswith("*") and not hour.startswith("*")


def _first(walls: Iterator[datetime], zone: ZoneInfo, after: datetime, fixed: bool) -> datetime:
    """Return the first moment after *after* at which clocks in *zone* show one of *walls*, which are sorted."""
    found: list[datetime] = []
    while True:
        wall = next(walls)
        if found and wall - LONGEST_CHANGE > _shown(min(found), zone):
            return min(found)
        moments = _moments(wall, zone)
        if fixed:
            while not moments:
                wall += MINUTE
                moments = _moments(wall, zone)
            moments = moments[:1]
        found += [moment for moment in moments if moment > after]


def _moments(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the moments, in naive UTC, at which clocks in *zone* show *wall*: none, one or two."""
    moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)}
    return sorted(moment for moment in moments if _shown(moment, zone) == wall)


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time in *zone* at *moment*, naive UTC."""
    return moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadTime(f"{name!r} is not a time zone, such as 'UTC' or 'Europe/Berlin'.") from error

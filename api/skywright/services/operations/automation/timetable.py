"""When a schedule's times are: cron expressions of five fields, or their names, in a time zone.

Clock changes are treated as Debian's cron(8) does. An expression with a fixed minute and hour (neither begins with `*`)
has each of its times once: one that the clock skips comes at the first moment after the gap, and of one that the clock
repeats the first counts. Any other expression follows the clock: what the clock skips does not come, what it repeats
comes twice.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS = 5
# crontab(5) has `@reboot`, too, which is no time.
NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Clocks are set back by no more (Antarctica/Troll): what one showed in the last hours it may show again.
LONGEST_CHANGE = timedelta(hours=2)
MINUTE = timedelta(minutes=1)


class BadTime(ValueError):
    """The expression or the zone is none."""


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after *after*, both naive UTC; a BadTime if the expression or the zone is none."""
    zone = _zone(timezone)
    try:
        fields = _fields(cron)
        return _first(CronSim(" ".join(fields), _shown(after, zone) - LONGEST_CHANGE), zone, after, _is_fixed(fields))
    except (CronSimError, StopIteration) as error:
        raise BadTime(f"{cron!r} is no cron expression, such as '30 2 * * 1-5' or '@daily': {error}") from error


def _fields(cron: str) -> list[str]:
    fields = NAMES.get(cron, cron).split()
    if len(fields) != FIELDS:  # CronSim takes a sixth, for seconds
        raise CronSimError("Wrong number of fields")
    return fields


def _is_fixed(fields: list[str]) -> bool:
    minute, hour, *_ = fields
    return not minute.startswith("*") and not hour.startswith("*")


def _first(walls: Iterator[datetime], zone: ZoneInfo, after: datetime, fixed: bool) -> datetime:
    """The first moment after *after* at which clocks in *zone* show one of *walls*, which ascend."""
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
    """The moments, in naive UTC, at which clocks in *zone* show *wall*: none, one or two."""
    moments = {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)}
    return sorted(moment for moment in moments if _shown(moment, zone) == wall)


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    """What clocks in *zone* show at *moment*, naive UTC."""
    return moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None, fold=0)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadTime(f"{name!r} is no time zone, such as 'UTC' or 'Europe/Berlin'.") from error

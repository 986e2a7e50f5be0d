"""Cron expressions in time zones."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from skywright.services.operations.automation.timetable import BadTime, next_time


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("*/5 * * * *", "UTC", "2030-01-01T00:00:00", "2030-01-01T00:05:00"),
        ("*/5 * * * *", "UTC", "2030-01-01T00:04:59.9", "2030-01-01T00:05:00"),
        ("30 2 * * 1-5", "Europe/Berlin", "2030-01-04T12:00:00", "2030-01-07T01:30:00"),
        ("0 9 * * *", "Asia/Kolkata", "2030-01-01T00:00:00", "2030-01-01T03:30:00"),
        # The clock jumps from 2:00 to 3:00, and goes back from 3:00 to 2:00.
        ("30 2 * * *", "Europe/Berlin", "2030-03-30T02:00:00", "2030-03-31T01:00:00"),
        ("30 2 * * *", "Europe/Berlin", "2030-10-26T02:00:00", "2030-10-27T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2030-10-27T00:30:00", "2030-10-28T01:30:00"),
        # In the repeated hour, its times are in the past.
        ("30 2 * * *", "Europe/Berlin", "2030-10-27T01:10:00", "2030-10-28T01:30:00"),
        ("@hourly", "UTC", "2030-01-01T00:00:00", "2030-01-01T01:00:00"),
        ("@daily", "Europe/Berlin", "2030-01-01T12:00:00", "2030-01-01T23:00:00"),
        ("@midnight", "UTC", "2030-01-01T12:00:00", "2030-01-02T00:00:00"),
        ("@weekly", "UTC", "2030-01-01T12:00:00", "2030-01-06T00:00:00"),  # a Sunday
        ("@monthly", "UTC", "2030-01-01T12:00:00", "2030-02-01T00:00:00"),
        ("@yearly", "UTC", "2030-01-01T12:00:00", "2031-01-01T00:00:00"),
        ("@annually", "UTC", "2030-01-01T12:00:00", "2031-01-01T00:00:00"),
    ],
)
def test_the_next_time(cron: str, zone: str, after: str, expected: str) -> None:
    assert next_time(cron, zone, at(after)) == at(expected)


def times(cron: str, zone: str, begin: str, end: str) -> list[str]:
    """Return the times from *begin* to *end* in local time."""
    moment, shown = at(begin), []
    while (moment := next_time(cron, zone, moment)) <= at(end):
        shown.append(f"{moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)):%H:%M}")
    return shown


@pytest.mark.parametrize(
    ("cron", "zone", "spring", "autumn"),
    [
        ("*/20 2 * * *", "Europe/Berlin", [], ["02:00", "02:20", "02:40"] * 2),
        ("0,30 2 * * *", "Europe/Berlin", ["03:00"], ["02:00", "02:30"]),
        ("0 2,3 * * *", "Europe/Berlin", ["03:00"], ["02:00", "03:00"]),
        ("30 * * * *", "Europe/Berlin", ["01:30", "03:30", "04:30"], ["01:30", "02:30", "02:30", "03:30", "04:30"]),
        ("@hourly", "Europe/Berlin", ["01:00", "03:00", "04:00"], ["01:00", "02:00", "02:00", "03:00", "04:00"]),
    ],
)
def test_clock_changes(cron: str, zone: str, spring: list[str], autumn: list[str]) -> None:
    """The clock jumps from 2:00 to 3:00 in March, and goes back from 3:00 to 2:00 in October."""
    assert times(cron, zone, "2030-03-30T23:59:59", "2030-03-31T02:59:59") == spring
    assert times(cron, zone, "2030-10-26T22:59:59", "2030-10-27T03:59:59") == autumn


def test_clock_changes_in_other_zones() -> None:
    # Lord Howe Island: from 2:00 to 2:30 in October, from 2:00 to 1:30 in April; Santiago: from 24:00 to 1:00.
    assert times("*/30 1-3 * * *", "Australia/Lord_Howe", "2030-10-05T14:29:59", "2030-10-05T16:30:00") == [
        *("01:00", "01:30", "02:30", "03:00", "03:30"),
    ]
    assert times("*/30 1-2 * * *", "Australia/Lord_Howe", "2030-04-06T13:59:59", "2030-04-06T16:00:00") == [
        *("01:00", "01:30", "01:30", "02:00", "02:30"),
    ]
    assert times("*/20 0,1 * * *", "America/Santiago", "2030-09-08T03:00:00", "2030-09-08T04:59:59") == [
        *("01:00", "01:20", "01:40"),
    ]
    assert times("0 0 * * *", "America/Santiago", "2030-09-08T03:00:00", "2030-09-08T04:59:59") == ["01:00"]


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 30 2 *",
        "",
        "* * * *",
        "61 * * * *",
        "@reboot",
        "* * * * * ; id",
        "a b c d e",
        "*/0 * * * *",
        "0 9 * * * *",
        "@DAILY",
        "@daily x",
        "@every 5m",
    ],
)
def test_invalid_cron_expressions(cron: str) -> None:
    with pytest.raises(BadTime, match="is not a cron expression"):
        next_time(cron, "UTC", at("2030-01-01"))


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "UTC\x00", "é"])
def test_invalid_time_zones(zone: str) -> None:
    with pytest.raises(BadTime, match="is not a time zone"):
        next_time("* * * * *", zone, at("2030-01-01"))

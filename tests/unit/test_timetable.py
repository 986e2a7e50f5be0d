"""Cron expressions in time zones."""

from datetime import datetime

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
    ],
)
def test_the_next_time(cron: str, zone: str, after: str, expected: str) -> None:
    assert next_time(cron, zone, at(after)) == at(expected)


@pytest.mark.parametrize(
    "cron", ["0 0 30 2 *", "", "* * * *", "61 * * * *", "@reboot", "* * * * * ; id", "a b c d e", "*/0 * * * *"]
)
def test_no_cron_expression(cron: str) -> None:
    with pytest.raises(BadTime, match="is no cron expression"):
        next_time(cron, "UTC", at("2030-01-01"))


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "UTC\x00", "é"])
def test_no_time_zone(zone: str) -> None:
    with pytest.raises(BadTime, match="is no time zone"):
        next_time("* * * * *", zone, at("2030-01-01"))

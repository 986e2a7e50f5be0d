"""Pauses of a backoff double up to their limit."""

from datetime import timedelta

from skywright.backoff import Backoff


def test_pauses_double_up_to_the_limit() -> None:
    assert [Backoff(0.5, 15.0).pause(earlier) for earlier in (0, 1, 2, 4, 5, 10**6)] == [0.5, 1, 2, 8, 15, 15]
    hours = Backoff(timedelta(seconds=30), timedelta(hours=1))
    assert [hours.pause(earlier) for earlier in (0, 1, 7)] == [
        timedelta(seconds=30),
        timedelta(minutes=1),
        timedelta(hours=1),
    ]

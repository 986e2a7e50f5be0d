"""Leases: a worker that cannot renew its lease ends its runs in time, and then other workers may take the jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import jobs_fake
import pytest
from sqlalchemy.orm import Session

from skywright.cloud import Cloud
from skywright.db import DatabaseUnavailable, utcnow
from skywright.jobs.engine import leases
from skywright.jobs.engine.leases import Leases, LeaseWatch

SECONDS = 30.0


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = jobs_fake.make_cloud(tmp_path)
    yield cloud
    cloud.database.engine.dispose()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The current time: the only number in the list."""
    now = [1000.0]
    monkeypatch.setattr(leases, "clock", lambda: now[0])
    return now


def test_a_lease_that_is_not_renewed_ends_its_run_once_and_in_time(
    cloud: Cloud, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    held = Leases(cloud, "w")
    held.hold("run", clock[0], lambda: ended.append("run"))

    @contextmanager
    def unavailable(timeout: float = 0) -> Iterator[Session]:
        raise DatabaseUnavailable()
        yield

    monkeypatch.setattr(cloud.database, "write", unavailable)
    for seconds in range(int(SECONDS * leases.USABLE)):
        clock[0] = 1000.0 + seconds
        held.renew()
        held.watch()
        assert not ended
    clock[0] = 1000.0 + SECONDS * leases.USABLE + leases.LOOK_SECONDS
    held.watch()
    held.watch()
    assert ended == ["run"]
    assert clock[0] < 1000.0 + SECONDS


def test_a_lease_that_is_renewed_ends_nothing(cloud: Cloud, clock: list[float]) -> None:
    held = Leases(cloud, "w")
    held.hold("run", clock[0], lambda: pytest.fail("it was renewed"))
    for _ in range(20):
        clock[0] += SECONDS / leases.RENEWALS
        held.renew()
        held.watch()
    held.drop("run")
    clock[0] += 10 * SECONDS
    held.watch()


def test_a_lease_expires_when_it_did_not_change_for_its_duration() -> None:
    watch, until = LeaseWatch(SECONDS), utcnow()
    for now in range(0, 30, 5):
        assert watch.expired({"silent": until, "renewed": until + timedelta(seconds=now)}, now) == set()
    assert watch.expired({"silent": until, "renewed": until + timedelta(seconds=30), "new": until}, 30) == {"silent"}


def test_only_the_own_clock_decides_whether_a_lease_expired() -> None:
    watch, long_ago = LeaseWatch(SECONDS), utcnow() - timedelta(days=1)
    assert watch.expired({"run": long_ago}, 100) == set()
    assert watch.expired({"run": long_ago}, 110) == set()


def test_a_worker_that_could_not_poll_starts_to_measure_again() -> None:
    """While the database is down no lease is renewed; they do not all expire when it is back."""
    watch, until = LeaseWatch(SECONDS), utcnow()
    for now in range(0, 30, 5):
        watch.expired({"run": until}, now)
    assert watch.expired({"run": until}, 60) == set()
    for now in range(65, 90, 5):
        assert watch.expired({"run": until}, now) == set()
    assert watch.expired({"run": until}, 90) == {"run"}

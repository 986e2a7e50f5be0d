"""Observations of hosts and servers, and what they change."""

from datetime import timedelta

import pytest
from scripted_hosts import REFUSED, ask, cloud, host, make, probe, quarantine, server, take, time_passes
from sqlalchemy import update

from skywright.cloud import Cloud
from skywright.db import utcnow
from skywright.db.jobs import Job
from skywright.jobs.upkeep import observe

__all__ = ["cloud"]


def test_an_answer_from_before_the_failure_does_not_count(cloud: Cloud) -> None:
    before = utcnow() - timedelta(seconds=5)
    probe(cloud, down=REFUSED)
    probe(cloud, start=before)
    assert not host(cloud, "a").up and host(cloud, "a").failures == 1


def test_a_failure_of_a_run_from_before_the_last_observation_does_not_count(cloud: Cloud) -> None:
    before = utcnow() - timedelta(seconds=5)
    probe(cloud)
    probe(cloud, start=before, down=REFUSED)
    assert host(cloud, "a").up and host(cloud, "a").failures == 0
    probe(cloud, down=REFUSED)
    assert not host(cloud, "a").up and host(cloud, "a").failures == 1


@pytest.mark.parametrize(
    ("before", "domain", "after"),
    [
        (("ACTIVE", 1), "running", ("ACTIVE", 1)),
        (("ACTIVE", 1), "shutoff", ("SHUTOFF", 4)),
        (("ACTIVE", 1), "crashed", ("SHUTOFF", 6)),
        (("ACTIVE", 1), "paused", ("ACTIVE", 3)),
        (("ACTIVE", 1), None, ("SHUTOFF", 0)),
        (("SHUTOFF", 4), "running", ("ACTIVE", 1)),
        (("ERROR", 0), "running", ("ERROR", 1)),
        (("BUILD", 0), "running", ("BUILD", 0)),
    ],
)
def test_servers_follow_the_observed_state(
    cloud: Cloud, before: tuple[str, int], domain: str | None, after: tuple[str, int]
) -> None:
    make(cloud, "s", host="a", status=before[0], power_state=before[1])
    make(cloud, "elsewhere", host="b", status="ACTIVE", power_state=1)
    probe(cloud, *([("s", domain)] if domain else []))
    assert (server(cloud, "s").status, server(cloud, "s").power_state) == after
    assert server(cloud, "elsewhere").status == "ACTIVE"
    assert server(cloud, "s").power == "running"


@pytest.mark.parametrize(("state", "minutes", "status"), [("queued", 0, "ACTIVE"), ("successful", -1, "SHUTOFF")])
def test_an_observation_is_ignored_while_a_job_changes_the_server(
    cloud: Cloud, state: str, minutes: int, status: str
) -> None:
    make(cloud, "s", host="a", status="ACTIVE", power_state=1)
    job_id = ask(cloud, "reboot", "s")
    ended = None if state == "queued" else utcnow() + timedelta(minutes=minutes)
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(state=state, finished_at=ended))
    probe(cloud, ("s", "shutoff"))
    assert server(cloud, "s").status == status


def test_an_observation_that_began_before_a_job_ended_is_ignored(cloud: Cloud) -> None:
    make(cloud, "s", host="a", status="ACTIVE", power_state=1)
    job_id = ask(cloud, "start", "s")
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(state="successful", finished_at=utcnow()))
    probe(cloud, ("s", "shutoff"), start=utcnow() - timedelta(seconds=10))
    assert server(cloud, "s").status == "ACTIVE"


def test_the_observer_observes_all_hosts_and_quarantined_ones_after_their_pause(cloud: Cloud) -> None:
    cloud.settings.observe_seconds = 60
    quarantine(cloud, "a")
    assert observe.submit_if_due(cloud)
    claimed = take(cloud)
    assert claimed and [name for name, _, _ in claimed.hosts] == ["b"]
    assert not observe.submit_if_due(cloud)
    with cloud.database.write() as session:
        session.execute(update(Job).values(state="successful", finished_at=utcnow()))
    assert not observe.submit_if_due(cloud)
    time_passes(cloud, "a")
    assert observe.submit_if_due(cloud)
    claimed = take(cloud)
    assert claimed and [name for name, _, _ in claimed.hosts] == ["a"]


def test_running_servers_are_restored_after_a_reboot_of_their_host(cloud: Cloud) -> None:
    make(cloud, "s", host="a", status="ACTIVE")
    make(cloud, "off", host="a", status="SHUTOFF")
    make(cloud, "elsewhere", host="b", status="ACTIVE")
    probe(cloud, ("s", "running"), ("off", "shutoff"))
    probe(cloud, ("s", "running"), ("off", "shutoff"))
    assert take(cloud) is None
    probe(cloud, ("s", "shutoff"), ("off", "shutoff"), boot="2")
    assert server(cloud, "s").status == "ACTIVE", "its restoration is under way"
    taken = take(cloud)
    assert taken and [item["id"] for item in taken.work.items["a"]["servers"]] == ["s"]
    probe(cloud, ("s", "running"), ("off", "shutoff"), boot="2")
    assert take(cloud) is None


@pytest.mark.parametrize(("reason", "power"), [("shutdown", "shutoff"), ("crashed", "running"), ("unknown", "running")])
def test_only_a_guests_own_shutdown_changes_the_desired_state(cloud: Cloud, reason: str, power: str) -> None:
    make(cloud, "s", host="a", status="ACTIVE", power_state=1, task_state=None)
    probe(cloud, ("s", "shutoff"), reason=reason)
    assert (server(cloud, "s").status, server(cloud, "s").power) == ("SHUTOFF", power)

"""Jobs on unreachable hosts: other hosts, pauses, and failures with the reason."""

from datetime import timedelta

import pytest
from jobs_fake import job
from scripted_hosts import REFUSED, ask, cloud, end, host, make, probe, quarantine, run, server, take, time_passes
from sqlalchemy import select, update

from skywright.cloud import Cloud
from skywright.db import utcnow
from skywright.db.jobs import Job

__all__ = ["cloud"]


def test_a_new_server_goes_to_another_host_if_the_first_is_unreachable(cloud: Cloud) -> None:
    make(cloud, "s")
    job_id = ask(cloud, "create", "s")
    run(cloud, a=REFUSED)
    assert (job(cloud, job_id).state, server(cloud, "s").status) == ("queued", "BUILD")
    run(cloud)
    assert job(cloud, job_id).state == "successful"
    assert (server(cloud, "s").status, server(cloud, "s").host) == ("ACTIVE", "b")
    assert "avoid" not in job(cloud, job_id).arguments


def test_a_new_server_without_another_host_fails_with_the_reason(cloud: Cloud) -> None:
    make(cloud, "s")
    ask(cloud, "create", "s")
    run(cloud, a=REFUSED)
    run(cloud, b=REFUSED)
    assert take(cloud) is not None
    found = server(cloud, "s")
    assert found.status == "ERROR" and found.fault
    assert "enabled and up: 0" in found.fault["message"]


def test_a_new_server_on_a_requested_host_fails_at_once(cloud: Cloud) -> None:
    make(cloud, "s", wanted_host="b")
    ask(cloud, "create", "s")
    run(cloud, b=REFUSED)
    found = server(cloud, "s")
    assert found.status == "ERROR" and found.fault
    assert found.fault["message"] == f"b is unreachable: {REFUSED}"


def test_a_create_that_had_begun_stays_on_its_host(cloud: Cloud) -> None:
    make(cloud, "s", host="a")
    job_id = ask(cloud, "create", "s")
    run(cloud, a=REFUSED)
    assert (job(cloud, job_id).held_by, server(cloud, "s").host) == ("a", "a")


def test_attempts_on_an_unreachable_host_have_growing_pauses(cloud: Cloud) -> None:
    make(cloud, "s", host="a", status="SHUTOFF")
    job_id = ask(cloud, "restore", "s", None)
    pauses = []
    for attempt in (1, 2):
        run(cloud, a=REFUSED)
        assert take(cloud) is None
        waiting, down = job(cloud, job_id), host(cloud, "a")
        assert (waiting.state, waiting.attempts) == ("queued", attempt)
        assert (waiting.waiting_for or "").startswith("a is unreachable; retry at ")
        assert down.retry_at and down.failed_at and waiting.not_before == down.retry_at
        pauses.append(down.retry_at - down.failed_at)
        assert (down.up, down.failures, down.condition) == (False, attempt, "enabled")
        time_passes(cloud, "a")
    assert pauses == [timedelta(seconds=10), timedelta(seconds=20)]
    run(cloud)
    assert (job(cloud, job_id).state, server(cloud, "s").status) == ("successful", "ACTIVE")
    assert (host(cloud, "a").up, host(cloud, "a").failures) == (True, 0)


def test_an_outage_that_several_runs_see_counts_once(cloud: Cloud) -> None:
    for name in ("r", "s"):
        make(cloud, name, host="a", status="SHUTOFF")
    ask(cloud, "start", "r")
    first = take(cloud)
    ask(cloud, "start", "s")
    second = take(cloud)
    assert first and second
    end(cloud, first, a=REFUSED)
    end(cloud, second, a=REFUSED)
    assert host(cloud, "a").failures == 1


def test_jobs_of_users_wait_for_an_unreachable_host_for_a_limited_time(cloud: Cloud) -> None:
    make(cloud, "s", host="a")
    started, cleanup = ask(cloud, "create", "s"), ask(cloud, "cleanup", "x", None, server_id="x", host="a", ports=[])
    run(cloud, a=REFUSED)
    past = utcnow() - timedelta(seconds=cloud.settings.unreachable_seconds + 1)
    with cloud.database.write() as session:
        session.execute(update(Job).values(held_since=past))
    quarantine(cloud, "a")
    time_passes(cloud, "a")
    take(cloud)
    assert job(cloud, started).state == "failed"
    fault = server(cloud, "s").fault
    assert fault and fault["message"] == f"a is unreachable: {REFUSED}"
    assert job(cloud, cleanup).state == "queued"


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("action", ["start", "stop", "reboot"])
def test_actions_on_an_unreachable_host_fail_at_once_and_change_nothing(cloud: Cloud, action: str, known: bool) -> None:
    wanted = {"power": "shutoff", "boot_id": "new", "task_state": "powering-off"}
    make(cloud, "s", host="a", status="ACTIVE", **wanted)
    job_id = ask(cloud, action, "s", before={"power": "running", "boot_id": "old"})
    if known:
        quarantine(cloud, "a")
        take(cloud)
    else:
        run(cloud, a=REFUSED)
    ended, found = job(cloud, job_id), server(cloud, "s")
    assert (ended.state, ended.error) == ("failed", f"a is unreachable: {REFUSED}")
    assert (found.status, found.task_state, found.power, found.boot_id) == ("ACTIVE", None, "running", "old")


def test_deleting_does_not_wait_for_a_host_which_is_cleaned_up_later(cloud: Cloud) -> None:
    make(cloud, "s", host="a", status="ACTIVE")
    quarantine(cloud, "a")
    delete = ask(cloud, "delete", "s")
    claimed = take(cloud)
    assert claimed and not claimed.hosts
    assert (job(cloud, delete).state, server(cloud, "s").status) == ("failed", "DELETED")
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.action == "cleanup").values(not_before=None))
    take(cloud)
    with cloud.database.read() as session:
        cleanup = session.scalars(select(Job).where(Job.action == "cleanup")).one()
    assert (cleanup.state, cleanup.held_by) == ("queued", "a")
    probe(cloud)
    run(cloud)
    assert job(cloud, cleanup.id).state == "successful"

"""Unreachable hosts and hosts in maintenance, with scripted outcomes; time passes by changes in the database."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jobs_fake
import pytest
from sqlalchemy import select, update

from recorded_hosts import answer, facts, observed
from skywright.cloud import Cloud
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Host, Job, JobResource, Run
from skywright.jobs.engine import host_state
from skywright.jobs.engine.claim import Claim, claim, still_claimed
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import settle
from skywright.jobs.upkeep import observe
from skywright.services.compute.tables import Server
from skywright.services.image.tables import Image
from skywright.services.network.tables import Network, NetworkHost

REFUSED = "Connection refused"
HOST_KEY_CHANGED = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @ Host key verification failed."


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Two compute hosts of libvirt's null driver, `a` and `b`."""
    cloud = jobs_fake.make_cloud(tmp_path)
    with cloud.database.write() as session:
        for host in session.scalars(select(Host)):
            session.delete(host)
        for name in "ab":
            variables = {"hypervisor_libvirt_uri": "test:///default"}
            known = facts(memory_mib=8000 if name == "a" else 4000, boot="1")
            session.add(observed(name, variables=variables, recorded=known))
        formats = {"disk_format": "qcow2", "container_format": "bare"}
        session.add(Image(id="img", status="active", os_hash_algo="sha512", os_hash_value="ab", **formats))
    yield cloud
    cloud.database.engine.dispose()


def make(cloud: Cloud, name: str, **values: Any) -> None:
    columns: dict[str, Any] = {"project_id": "p", "user_id": "u", "name": name, "hostname": name, "flavor": {"disk": 0}}
    columns |= {"vcpus": 1, "ram_mib": 128, "disk_gib": 1, "image_id": "img"}
    with cloud.database.write() as session:
        session.add(Server(id=name, **columns | values))


def ask(cloud: Cloud, action: str, server: str, user: str | None = "u", **arguments: Any) -> str:
    with cloud.database.write() as session:
        job = Job(playbook="server", action=action, arguments=arguments, user_id=user)
        job.resources = [JobResource(resource_type="server", resource_id=server)]
        session.add(job)
        session.flush()
        return job.id


def take(cloud: Cloud) -> Claim | None:
    with cloud.database.write() as session:
        return claim(session, cloud, "w", new_uuid())


def results_of(claimed: Claim, **unreachable: str) -> Results:
    """Return the results of a run that succeeds on all hosts except the *unreachable* ones."""
    results = Results()
    for host, kinds in claimed.work.items.items():
        if host in unreachable:
            data = {"host": host, "res": {"msg": unreachable[host]}}
            results.add({"event": "runner_on_unreachable", "event_data": data})
            continue
        items = [{"id": item["id"], "changed": True} for items in kinds.values() for item in items]
        data = {"host": host, "res": {"results": items}}
        results.add({"event": "runner_on_ok", "event_data": data})
    results.add({"event": "playbook_on_stats", "event_data": {}})
    results.rc = 4 if unreachable else 0
    return results


def end(cloud: Cloud, claimed: Claim, **unreachable: str) -> None:
    """Settle the jobs like a worker after a run."""
    results = results_of(claimed, **unreachable)
    with cloud.database.write() as session:
        host_state.record_reachability(session, cloud, results, session.get_one(Run, claimed.run_id).started_at)
        for job in still_claimed(session, claimed.attempts):
            if not host_state.postpone(session, cloud, job, claimed.work, results):
                settle(session, cloud, job, results.outcome(claimed.work.depends[job.id]))


def run(cloud: Cloud, **unreachable: str) -> Claim:
    claimed = take(cloud)
    assert claimed is not None and claimed.hosts
    end(cloud, claimed, **unreachable)
    return claimed


def job(cloud: Cloud, job_id: str) -> Job:
    return jobs_fake.job(cloud, job_id)


def server(cloud: Cloud, name: str) -> Server:
    with cloud.database.read() as session:
        return session.get_one(Server, name)


def host(cloud: Cloud, name: str) -> Host:
    with cloud.database.read() as session:
        return session.get_one(Host, name)


def set_host(cloud: Cloud, name: str, **values: Any) -> None:
    with cloud.database.write() as session:
        session.execute(update(Host).where(Host.name == name).values(**values))


def time_passes(cloud: Cloud, name: str) -> None:
    """Let the pauses of the host and of the jobs that wait for it end."""
    past = utcnow() - timedelta(seconds=1)
    with cloud.database.write() as session:
        session.execute(update(Host).where(Host.name == name, Host.retry_at.is_not(None)).values(retry_at=past))
        session.execute(update(Job).where(Job.held_by == name).values(not_before=past))


def quarantine(cloud: Cloud, name: str) -> None:
    later = utcnow() + timedelta(minutes=5)
    set_host(cloud, name, up=False, failures=3, quarantined_at=utcnow(), retry_at=later, unreachable=REFUSED)


def set_state(cloud: Cloud, name: str, state: str) -> None:
    with cloud.database.write() as session:
        host_state.set_state(session, cloud, session.get_one(Host, name), state, "why")


def probe(
    cloud: Cloud,
    *domains: tuple[str, str],
    start: Any = None,
    down: str | None = None,
    boot: str = "1",
    reason: str | None = None,
) -> None:
    """An observation of host `a`, which began at *start*; *reason*: why its domains are off."""
    with cloud.database.write() as session:
        run = Run(playbook="host", worker="w", started_at=start or utcnow())
        session.add(run)
        session.flush()
        row = Job(playbook="host", action="observe", state="running", run_id=run.id, items=[["a", "a"]])
        session.add(row)
        session.flush()
        results = Results()
        found = [{"id": name, "power": power, "reason": reason} for name, power in domains]
        said = answer(boot=boot, domains=found, contents=None)
        data = {"host": "a", "res": {"msg": down} if down else {"host": said}}
        results.add({"event": "runner_on_unreachable" if down else "runner_on_ok", "event_data": data})
        results.rc = 0
        host_state.record_reachability(session, cloud, results, run.started_at)
        settle(session, cloud, row, results.outcome({("a", "a")}))


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


def test_after_some_failures_only_the_observer_tries_a_host(cloud: Cloud) -> None:
    make(cloud, "s", host="a", status="SHUTOFF")
    job_id = ask(cloud, "restore", "s", None)
    for _ in range(cloud.settings.quarantine_failures):
        run(cloud, a=REFUSED)
        time_passes(cloud, "a")
    assert host(cloud, "a").condition == "quarantined"
    claimed = take(cloud)
    assert claimed and not claimed.hosts and job(cloud, job_id).attempts == cloud.settings.quarantine_failures
    with cloud.database.read() as session:
        assert session.get(Run, claimed.run_id) is None
    probe(cloud, down=REFUSED)
    assert host(cloud, "a").failures == cloud.settings.quarantine_failures + 1
    assert take(cloud) is None
    probe(cloud)
    assert (host(cloud, "a").condition, host(cloud, "a").retry_at) == ("enabled", None)
    run(cloud)
    assert job(cloud, job_id).state == "successful"


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


def test_a_host_with_another_key_is_quarantined_at_once(cloud: Cloud) -> None:
    probe(cloud, down=HOST_KEY_CHANGED)
    assert host(cloud, "a").condition == "quarantined"


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


def test_jobs_wait_for_the_end_of_maintenance_unless_an_operator_forces_them(cloud: Cloud) -> None:
    for name in ("r", "s"):
        make(cloud, name, host="a", status="SHUTOFF")
    make(cloud, "t")
    set_state(cloud, "a", "maintenance")
    waiting, forced, new = ask(cloud, "start", "r"), ask(cloud, "delete", "s"), ask(cloud, "create", "t")
    run(cloud)
    assert (job(cloud, new).state, server(cloud, "t").host) == ("successful", "b")
    for job_id in (waiting, forced):
        held = job(cloud, job_id)
        assert (held.state, held.waiting_for) == ("queued", "host a is in maintenance")
        assert (held.attempts, held.run_id, held.started_at) == (0, None, None)
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.id == forced).values(forced=True, not_before=None))
    run(cloud)
    assert (job(cloud, forced).state, job(cloud, waiting).state) == ("successful", "queued")
    set_state(cloud, "a", "enabled")
    run(cloud)
    assert job(cloud, waiting).state == "successful"


def test_a_host_that_is_switched_off_for_maintenance_is_not_quarantined(cloud: Cloud) -> None:
    set_state(cloud, "a", "maintenance")
    for _ in range(5):
        probe(cloud, down=REFUSED)
        time_passes(cloud, "a")
    assert (host(cloud, "a").up, host(cloud, "a").condition, host(cloud, "a").failures) == (False, "maintenance", 0)


def test_an_operator_lifts_a_quarantine(cloud: Cloud) -> None:
    quarantine(cloud, "a")
    set_state(cloud, "a", "enabled")
    assert (host(cloud, "a").condition, host(cloud, "a").retry_at) == ("enabled", None)


def test_a_host_that_is_back_gets_the_peers_of_its_networks(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        for row in session.scalars(select(Host)):
            row.variables = {"vswitch_data_address": f"172.20.1.{1 + 'ab'.index(row.name)}/24"}
        session.add(Network(id="net", project_id="p", segmentation_id=1001))
        session.flush()
        session.add_all([NetworkHost(network_id="net", host=name) for name in "ab"])
    quarantine(cloud, "a")
    probe(cloud)
    claimed = run(cloud)
    assert [(item["id"], item["peers"]) for item in claimed.work.items["a"]["networks"]] == [("net", ["172.20.1.2"])]
    assert claimed.work.items.keys() == {"a"}


def test_an_unreachable_host_is_left_out_of_other_runs(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        for row in session.scalars(select(Host)):
            row.variables = {"vswitch_data_address": f"172.20.1.{1 + 'ab'.index(row.name)}/24"}
        session.add(Network(id="net", project_id="p", segmentation_id=1001))
        session.flush()
        session.add_all([NetworkHost(network_id="net", host=name) for name in "ab"])
        rejoin = Job(playbook="network", action="rejoin", arguments={"network_id": "net", "host": "b"})
        delete = Job(playbook="network", action="delete", arguments={"network_id": "net", "dhcp_host": "b"})
        for row in (rejoin, delete):
            row.resources = [JobResource(resource_type="network", resource_id="net")]
            session.add(row)
            session.flush()
    quarantine(cloud, "a")
    assert run(cloud).work.items.keys() == {"b"}
    take(cloud)
    assert job(cloud, delete.id).held_by == "a"


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

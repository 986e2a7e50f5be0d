"""Claiming, settling and requeueing jobs."""

from datetime import timedelta
from pathlib import Path

import jobs_fake
import pytest
from claim_helpers import cloud, end, take
from sqlalchemy import select

from skywright.cloud import Cloud
from skywright.db import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.jobs.engine.claim import Claim
from skywright.jobs.engine.leases import LeaseWatch
from skywright.jobs.engine.recover import recover
from skywright.jobs.engine.report import PersistentWriter, Report
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.selection import BATCH
from skywright.jobs.engine.settle import MAX_ATTEMPTS
from skywright.jobs.runs import processes
from skywright.jobs.runs.rundir import RunDirectory
from skywright.services import registry

__all__ = ["cloud"]


def report(cloud: Cloud, claimed: Claim, results: Results) -> None:
    Report(PersistentWriter(cloud, lambda: False), claimed).settle(results)


def test_jobs_of_one_resource_run_in_order_and_show_what_they_wait_for(cloud: Cloud) -> None:
    first, second, other = (jobs_fake.submit(cloud, name) for name in ("a", "a", "b"))
    claimed = take(cloud)
    assert claimed and set(claimed.attempts) == {first, other}
    assert jobs_fake.job(cloud, second).waiting_for == f"job {first} (fake write)"
    assert take(cloud) is None
    end(cloud, claimed)
    claimed = take(cloud)
    assert claimed and set(claimed.attempts) == {second}


def test_a_job_that_waits_for_a_time_keeps_its_place(cloud: Cloud) -> None:
    first, second = jobs_fake.submit(cloud, "a"), jobs_fake.submit(cloud, "a")
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == first)).one().not_before = utcnow() + timedelta(hours=1)
    assert take(cloud) is None
    assert first in (jobs_fake.job(cloud, second).waiting_for or "")


def test_a_run_has_a_limited_number_of_jobs(cloud: Cloud) -> None:
    for number in range(BATCH + 5):
        jobs_fake.submit(cloud, str(number))
    sizes = [len(claimed.attempts) for claimed in (take(cloud), take(cloud, "w2")) if claimed]
    assert sizes == [BATCH, 5]


def test_a_job_that_cannot_be_rendered_does_not_affect_others(cloud: Cloud) -> None:
    bad, good, refused = (
        jobs_fake.submit(cloud, "a", **{"raise": "no such thing"}),
        jobs_fake.submit(cloud, "b"),
        jobs_fake.submit(cloud, "c", refuse="No valid host"),
    )
    claimed = take(cloud)
    assert claimed and set(claimed.attempts) == {good}
    assert jobs_fake.job(cloud, bad).error == "The job cannot be prepared: no such thing"
    assert jobs_fake.job(cloud, refused).error == "No valid host"
    assert jobs_fake.job(cloud, refused).state == "failed"


def test_a_job_on_an_unknown_host_fails_at_once(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a", host="removed")
    claimed = take(cloud)
    assert claimed and not claimed.hosts
    assert jobs_fake.job(cloud, job_id).error == "No such host is registered: removed"


def test_the_next_run_on_its_hosts_ends_processes_of_a_dead_workers_run(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    lost = take(cloud)
    assert lost and lost.unended == {}
    recover(cloud, LeaseWatch(0))
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().not_before = None
    claimed = take(cloud, "w2")
    assert claimed and claimed.unended == {"here": [lost.run_id]}
    report(cloud, claimed, Results.without_hosts())
    jobs_fake.submit(cloud, "b")
    claimed = take(cloud, "w2")
    assert claimed and claimed.unended == {}


def test_a_host_that_became_unreachable_may_still_have_processes(cloud: Cloud) -> None:
    jobs_fake.submit(cloud, "a")
    cut_off = take(cloud)
    assert cut_off
    results = Results.without_hosts()
    results.add_unreachable({"here": "Connection reset"})
    report(cloud, cut_off, results)
    with cloud.database.read() as session:
        assert session.get_one(Host, "here").unended_runs == [cut_off.run_id]


def test_a_canceled_job_reports_processes_that_could_not_be_ended(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    claimed = take(cloud)
    assert claimed
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().cancel_requested_at = utcnow()
    results = Results()
    results.canceled, results.unended = True, {"here": "no route to host"}
    report(cloud, claimed, results)
    job = jobs_fake.job(cloud, job_id)
    assert job.state == "canceled"
    assert job.error == "The job was canceled; what it ran on here could not be ended: no route to host"
    with cloud.database.read() as session:
        assert session.get_one(Host, "here").unended_runs == [claimed.run_id]


def test_a_worker_that_lost_its_jobs_cannot_settle_them(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    slow = take(cloud)
    with cloud.database.write() as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        job.lease_until = utcnow() - timedelta(seconds=1)
    assert recover(cloud, LeaseWatch(0)) == 1
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().not_before = None
    fast = take(cloud, "w2")
    assert slow and fast
    end(cloud, slow)
    assert jobs_fake.job(cloud, job_id).state == "running"
    end(cloud, fast)
    assert jobs_fake.job(cloud, job_id).state == "successful"


def test_attempts_are_limited_and_have_pauses(cloud: Cloud, tmp_path: Path) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = take(cloud)
        assert claimed and claimed.attempts == {job_id: attempt}
        with cloud.database.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id)).one()
            job.lease_until = utcnow() - timedelta(seconds=1)
        recover(cloud, LeaseWatch(0))
        again = jobs_fake.job(cloud, job_id)
        assert (again.not_before is not None) == (attempt < MAX_ATTEMPTS)
        with cloud.database.write() as session:
            session.scalars(select(Job).where(Job.id == job_id)).one().not_before = None
    assert again.state == "error"
    assert f"given up after {MAX_ATTEMPTS} attempts" in (again.error or "")
    assert (tmp_path / "settled").read_text() == f"{job_id} False\n"


def test_an_expired_lease_is_ignored_while_a_process_of_the_run_is_alive(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    claimed = take(cloud)
    assert claimed
    with cloud.database.write() as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        job.lease_until = utcnow() - timedelta(seconds=1)
    with RunDirectory(cloud.settings.run_dir, claimed.run_id):
        assert recover(cloud, LeaseWatch(0)) == 0
    assert recover(cloud, LeaseWatch(0)) == 1
    with cloud.database.read() as session:
        assert session.get_one(Run, claimed.run_id).state == "error"


def test_a_canceled_waiting_job_never_runs(cloud: Cloud, tmp_path: Path) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().cancel_requested_at = utcnow()
    assert take(cloud) is None
    assert jobs_fake.job(cloud, job_id).state == "canceled"
    assert (tmp_path / "settled").exists()


def test_every_playbook_has_a_kind() -> None:
    cloud_playbooks = {path.stem for path in Path("playbooks/cloud").glob("*.yml")}
    kinds = {kind.playbook for kind in registry.kinds() if kind.name != "operator"}
    assert cloud_playbooks == kinds | {processes.PLAYBOOK}


def test_the_next_worker_continues_the_recovery_of_a_dead_one(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    claimed = take(cloud)
    assert claimed
    directory = cloud.settings.run_dir / claimed.run_id
    (directory / "env").mkdir(parents=True)
    for name in ("lock", "record.json", "env/extravars"):
        (directory / name).touch()

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("skywright.jobs.engine.recover.requeue", killed)
        recover(cloud, LeaseWatch(0))
    assert {path.name for path in directory.iterdir()} == {"lock", "record.json"}
    assert recover(cloud, LeaseWatch(0)) == 1
    assert jobs_fake.job(cloud, job_id).state == "queued"
    assert [path.name for path in directory.iterdir()] == ["record.json"]

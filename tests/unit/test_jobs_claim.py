"""Claiming, settling and requeueing, on a database, without a worker."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jobs_fake
import pytest
from sqlalchemy import select

from skywright.cloud import Cloud
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs.claim import BATCH, Claim, claim, jobs_of
from skywright.jobs.playbooks import Outcome, registry
from skywright.jobs.recover import recover
from skywright.jobs.rundir import RunDirectory
from skywright.jobs.settle import MAX_ATTEMPTS, settle


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = jobs_fake.make_cloud(tmp_path)
    yield cloud
    cloud.database.engine.dispose()


def take(cloud: Cloud, worker: str = "w1") -> Claim | None:
    with cloud.database.write() as session:
        return claim(session, cloud, worker, new_uuid())


def end(cloud: Cloud, claimed: Claim) -> None:
    with cloud.database.write() as session:
        for job in jobs_of(session, claimed.attempts):
            settle(session, cloud, job, Outcome(ok=True))


def test_jobs_of_one_resource_run_in_order_and_say_what_they_wait_for(cloud: Cloud) -> None:
    first, second, other = (jobs_fake.submit(cloud, name) for name in ("a", "a", "b"))
    claimed = take(cloud)
    assert claimed and set(claimed.attempts) == {first, other}
    assert jobs_fake.job(cloud, second).waiting_for == f"job {first} (fake write)"
    assert take(cloud) is None
    end(cloud, claimed)
    claimed = take(cloud)
    assert claimed and set(claimed.attempts) == {second}


def test_a_job_that_waits_for_its_time_keeps_its_place(cloud: Cloud) -> None:
    first, second = jobs_fake.submit(cloud, "a"), jobs_fake.submit(cloud, "a")
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == first)).one().not_before = utcnow() + timedelta(hours=1)
    assert take(cloud) is None
    assert first in (jobs_fake.job(cloud, second).waiting_for or "")


def test_a_run_takes_many_jobs_but_not_all(cloud: Cloud) -> None:
    for number in range(BATCH + 5):
        jobs_fake.submit(cloud, str(number))
    sizes = [len(claimed.attempts) for claimed in (take(cloud), take(cloud, "w2")) if claimed]
    assert sizes == [BATCH, 5]


def test_one_job_that_cannot_be_rendered_does_not_keep_the_others(cloud: Cloud) -> None:
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


def test_a_job_on_a_host_that_is_not_registered_fails_at_once(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a", host="removed")
    claimed = take(cloud)
    assert claimed and not claimed.hosts
    assert jobs_fake.job(cloud, job_id).error == "No such host is registered: removed"


def test_a_worker_that_lost_its_jobs_cannot_settle_them(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    slow = take(cloud)
    with cloud.database.write() as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        job.lease_until = utcnow() - timedelta(seconds=1)
    assert recover(cloud) == 1
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().not_before = None
    fast = take(cloud, "w2")
    assert slow and fast
    end(cloud, slow)
    assert jobs_fake.job(cloud, job_id).state == "running"
    end(cloud, fast)
    assert jobs_fake.job(cloud, job_id).state == "successful"


def test_attempts_are_bounded_and_spaced(cloud: Cloud, tmp_path: Path) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = take(cloud)
        assert claimed and claimed.attempts == {job_id: attempt}
        with cloud.database.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id)).one()
            job.lease_until = utcnow() - timedelta(seconds=1)
        recover(cloud)
        again = jobs_fake.job(cloud, job_id)
        assert (again.not_before is not None) == (attempt < MAX_ATTEMPTS)
        with cloud.database.write() as session:
            session.scalars(select(Job).where(Job.id == job_id)).one().not_before = None
    assert again.state == "error"
    assert f"given up after {MAX_ATTEMPTS} attempts" in (again.error or "")
    assert (tmp_path / "settled").read_text() == f"{job_id} False\n"


def test_a_lease_that_ran_out_is_not_enough_while_a_process_of_the_run_lives(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    claimed = take(cloud)
    assert claimed
    with cloud.database.write() as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        job.lease_until = utcnow() - timedelta(seconds=1)
    with RunDirectory(cloud.settings.run_dir, claimed.run_id):
        assert recover(cloud) == 0
    assert recover(cloud) == 1
    with cloud.database.read() as session:
        assert session.get_one(Run, claimed.run_id).state == "error"


def test_a_canceled_job_that_waits_never_runs(cloud: Cloud, tmp_path: Path) -> None:
    job_id = jobs_fake.submit(cloud, "a")
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().cancel_requested_at = utcnow()
    assert take(cloud) is None
    assert jobs_fake.job(cloud, job_id).state == "canceled"
    assert (tmp_path / "settled").exists()


def test_every_playbook_has_its_decisions() -> None:
    cloud_playbooks = {path.stem for path in Path("playbooks/cloud").glob("*.yml")}
    assert cloud_playbooks <= set(registry())


def test_a_worker_that_dies_while_it_recovers_leaves_that_to_the_next(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        patch.setattr("skywright.jobs.recover.requeue", killed)
        recover(cloud)
    assert {path.name for path in directory.iterdir()} == {"lock", "record.json"}
    assert recover(cloud) == 1
    assert jobs_fake.job(cloud, job_id).state == "queued"
    assert [path.name for path in directory.iterdir()] == ["record.json"]

"""Claiming, settling and requeueing jobs, with a database and without a worker."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jobs_fake
import pytest
from sqlalchemy import select

from skywright.cloud import Cloud
from skywright.core import CREATE, Outcome
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Host, Job, JobResource, Run
from skywright.jobs.engine.claim import Claim, claim, still_claimed
from skywright.jobs.engine.leases import LeaseWatch
from skywright.jobs.engine.recover import recover
from skywright.jobs.engine.report import PersistentWriter, Report
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.selection import ALONE_AFTER, BATCH, Selection, choose
from skywright.jobs.engine.settle import MAX_ATTEMPTS, cancel, requeue, settle
from skywright.jobs.runs import processes
from skywright.jobs.runs.rundir import RunDirectory
from skywright.services import registry


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
        for job in still_claimed(session, claimed.attempts):
            settle(session, cloud, job, Outcome(ok=True))


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


def ask(cloud: Cloud, project: str | None, *resources: str, playbook: str = "fake", **values: Any) -> str:
    """Queue a job of *project*."""
    with cloud.database.write() as session:
        job = Job(playbook=playbook, action="write", project_id=project, **values)
        job.resources = [JobResource(resource_type="file", resource_id=name) for name in resources]
        session.add(job)
        session.flush()
        return job.id


def next_run(cloud: Cloud, selection: Selection) -> list[str]:
    """Return the jobs of the next run, which ends at once."""
    with cloud.database.write() as session:
        claimed = claim(session, cloud, "w1", new_uuid(), selection)
    assert claimed is not None
    end(cloud, claimed)
    return list(claimed.attempts)


def names(cloud: Cloud, run: list[str]) -> list[str]:
    return [jobs_fake.job(cloud, job_id).resources[0].resource_id for job_id in run]


def test_projects_take_turns_in_a_run(cloud: Cloud) -> None:
    for number in range(2 * BATCH):
        ask(cloud, "many", f"many-{number}")
    few = [ask(cloud, "few", f"few-{number}") for number in range(2)]
    nobody = ask(cloud, None, "nobody")
    run = next_run(cloud, Selection())
    assert len(run) == BATCH and {*few, nobody} <= set(run)


def test_a_project_without_a_place_in_a_run_is_in_the_next_one(cloud: Cloud) -> None:
    for number in range(BATCH):
        for _ in range(3):
            ask(cloud, f"project-{number}", new_uuid())
    late = ask(cloud, "late", "late")
    selection = Selection()
    assert late not in next_run(cloud, selection)
    assert late in next_run(cloud, selection)


class Other(jobs_fake.FakeKind):
    name = playbook = "other"


def test_playbooks_take_turns_for_runs(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "kinds", {**cloud.kinds, "other": Other()})
    selection = Selection()
    for number in range(3 * BATCH):
        ask(cloud, "many", f"many-{number}")
    next_run(cloud, selection)
    other = ask(cloud, "few", "few", playbook="other")
    assert next_run(cloud, selection) == [other]
    assert len(next_run(cloud, selection)) == BATCH


def test_waiting_jobs_do_not_hide_jobs_that_may_run(cloud: Cloud) -> None:
    later = utcnow() + timedelta(hours=1)
    with cloud.database.write() as session:
        for number in range(1500):
            job = Job(playbook="fake", action="write", project_id="many", not_before=later)
            job.resources = [JobResource(resource_type="file", resource_id="one" if number % 2 else f"held-{number}")]
            session.add(job)
    mine = ask(cloud, "few", "few")
    assert next_run(cloud, Selection()) == [mine]


def test_priorities_apply_to_the_jobs_that_a_job_waits_for(cloud: Cloud) -> None:
    for number in range(BATCH):
        ask(cloud, None, f"usual-{number}")
    first, second = ask(cloud, None, "a"), ask(cloud, None, "a", "b")
    urgent = ask(cloud, None, "b", priority=5)
    selection = Selection()
    assert next_run(cloud, selection)[0] == first
    assert next_run(cloud, selection)[0] == second
    assert next_run(cloud, selection) == [urgent]


def test_forcing_applies_to_the_jobs_that_a_job_waits_for(cloud: Cloud) -> None:
    later = utcnow() + timedelta(hours=1)
    held = ask(cloud, None, "a", not_before=later, held_by="gone")
    retried = ask(cloud, None, "b", not_before=later)
    assert take(cloud) is None
    forced = ask(cloud, None, "a", "b", forced=True)
    selection = Selection()
    assert next_run(cloud, selection) == [held] and jobs_fake.job(cloud, held).forced
    assert take(cloud) is None, "the pause before another attempt holds for all"
    assert {jobs_fake.job(cloud, job_id).state for job_id in (retried, forced)} == {"queued"}


def test_a_job_with_several_lost_attempts_runs_alone(cloud: Cloud) -> None:
    suspect, usual = ask(cloud, None, "a", attempts=ALONE_AFTER), ask(cloud, None, "b")
    selection = Selection()
    assert next_run(cloud, selection) == [suspect]
    assert next_run(cloud, selection) == [usual]


def test_selecting_from_thousands_of_jobs_is_fast(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        for number in range(5000):
            job = Job(playbook="fake", action="write", project_id=f"p{number % 7}", waiting_for="a free worker")
            job.resources = [JobResource(resource_type="file", resource_id=str(number % 4000))]
            session.add(job)
    selection, times = Selection(), []
    for _ in range(5):
        with cloud.database.write() as session:
            begun = time.process_time()
            assert len(choose(session, cloud, selection)) == BATCH
            times.append(time.process_time() - begun)
    assert min(times) < 0.15  # seconds of CPU time; usually 0.05


class TestCancel:
    """A canceled create removes what it made, at its place in the queue."""

    @pytest.fixture
    def created(self, cloud: Cloud) -> tuple[str, Claim]:
        job_id = ask(cloud, None, "a")
        with cloud.database.write() as session:
            session.scalars(select(Job).where(Job.id == job_id)).one().action = CREATE
        claimed = take(cloud)
        assert claimed is not None
        return job_id, claimed

    def cancel(self, cloud: Cloud, job_id: str) -> None:
        with cloud.database.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id)).one()
            job.cancel_requested_at = utcnow()
            cancel(session, cloud, job)

    def test_it_runs_before_later_jobs(self, cloud: Cloud, created: tuple[str, Claim], tmp_path: Path) -> None:
        job_id, _ = created
        later = ask(cloud, None, "a")
        ask(cloud, None, "b", priority=100)
        self.cancel(cloud, job_id)
        job = jobs_fake.job(cloud, job_id)
        assert (job.state, job.undoing, job.error) == ("queued", True, None)
        assert next_run(cloud, Selection())[0] == job_id
        job = jobs_fake.job(cloud, job_id)
        assert (job.state, job.error) == ("canceled", "The job was canceled")
        assert next_run(cloud, Selection()) == [later]

    def test_it_survives_its_worker(self, cloud: Cloud, created: tuple[str, Claim]) -> None:
        job_id, _ = created
        self.cancel(cloud, job_id)
        assert take(cloud) is not None
        with cloud.database.write() as session:
            requeue(session, cloud, session.scalars(select(Job).where(Job.id == job_id)).one(), "The worker died")
        job = jobs_fake.job(cloud, job_id)
        assert (job.state, job.undoing) == ("queued", True)

    def test_it_ends_after_too_many_attempts(self, cloud: Cloud, created: tuple[str, Claim]) -> None:
        job_id, _ = created
        self.cancel(cloud, job_id)
        with cloud.database.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id)).one()
            job.attempts = MAX_ATTEMPTS
            requeue(session, cloud, job, "The run was killed")
        job = jobs_fake.job(cloud, job_id)
        assert job.state == "canceled"
        assert (job.error or "").startswith("The job was canceled; the changes are not undone yet: The run was killed")

    def test_a_create_that_did_not_begin_ends_at_once(self, cloud: Cloud) -> None:
        job_id = ask(cloud, None, "a", cancel_requested_at=utcnow())
        assert take(cloud) is None
        assert jobs_fake.job(cloud, job_id).state == "canceled"

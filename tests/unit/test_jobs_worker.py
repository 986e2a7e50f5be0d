"""Complete jobs with a worker and real Ansible on this machine, with many kinds of failures."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jobs_fake
import pytest
from sqlalchemy import select

from processes import launchers
from skywright.cloud import Cloud
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Event, Host, Job, Run
from skywright.jobs.engine.host_state import set_state
from skywright.jobs.engine.leases import LeaseWatch
from skywright.jobs.engine.recover import recover
from skywright.jobs.runs import rundir
from skywright.jobs.runs.rundir import MARK, RunDirectory
from skywright.jobs.worker import Worker
from workers import working


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud with a worker in this process."""
    cloud = jobs_fake.make_cloud(tmp_path_factory.mktemp("jobs"))
    with working(cloud):
        yield cloud
    assert {path.name for path in cloud.settings.run_dir.glob("*/*")} <= {"record.json"}
    cloud.database.engine.dispose()


def cancel(cloud: Cloud, job_id: str) -> None:
    with cloud.database.write() as session:
        session.scalars(select(Job).where(Job.id == job_id)).one().cancel_requested_at = utcnow()
    cloud.queue.notify()


def test_each_job_of_a_run_has_its_own_outcome(cloud: Cloud) -> None:
    ids = [
        jobs_fake.submit(cloud, "a"),
        jobs_fake.submit(cloud, "b", item={"error": "disk full"}),
        jobs_fake.submit(cloud, "d", settle="cannot apply"),
    ]
    good, bad, unsettled = jobs_fake.ended(cloud, *ids)
    assert (good.state, good.error) == ("successful", None)
    assert (bad.state, bad.error) == ("failed", "here: disk full")
    assert (unsettled.state, unsettled.error) == ("error", "The run was successful; applying that failed: cannot apply")


def test_a_job_waits_for_an_unreachable_host(cloud: Cloud) -> None:
    job_id = jobs_fake.submit(cloud, "c", host="gone")
    jobs_fake.wait_for(lambda: jobs_fake.job(cloud, job_id).put_off)
    job = jobs_fake.job(cloud, job_id)
    assert (job.state, job.held_by) == ("queued", "gone")
    assert (job.waiting_for or "").startswith("gone is unreachable; retry at 20")
    with cloud.database.read() as session:
        host = session.get_one(Host, "gone")
    assert (host.up, host.failures) == (False, 1)
    assert "Connection refused" in (host.unreachable or "")
    cancel(cloud, job_id)
    assert jobs_fake.ended(cloud, job_id)[0].state == "canceled"


def test_an_item_that_ansible_would_refuse_does_not_affect_others(cloud: Cloud) -> None:
    bad = jobs_fake.submit(cloud, "a", item={"data": {"__ansible_type": "x"}})
    good = jobs_fake.submit(cloud, "b")
    assert [job.state for job in jobs_fake.ended(cloud, bad, good)] == ["failed", "successful"]
    assert "'__ansible_type' is reserved" in (jobs_fake.job(cloud, bad).error or "")


def test_a_crashed_module_is_the_error_of_every_item(cloud: Cloud) -> None:
    (job,) = jobs_fake.ended(cloud, jobs_fake.submit(cloud, "a", item={"crash": True}))
    assert job.state == "failed"
    assert "planned" in (job.error or "")


def test_steps_and_events_of_a_run_are_stored(cloud: Cloud) -> None:
    (job,) = jobs_fake.ended(cloud, jobs_fake.submit(cloud, "a"))
    with cloud.database.read() as session:
        run = session.get_one(Run, job.run_id)
        events = session.scalars(select(Event).where(Event.run_id == run.id).order_by(Event.counter)).all()
    assert (run.state, run.rc, run.steps_done, run.hosts) == ("successful", 0, 1, ["here"])
    assert [event.kind for event in events] == ["playbook_on_task_start", "runner_on_ok", "playbook_on_stats"]
    assert events[1].data["items"] == [{"id": job.id, "changed": True, "status": "written"}]


def test_many_jobs_share_few_runs(cloud: Cloud) -> None:
    jobs = jobs_fake.ended(cloud, *[jobs_fake.submit(cloud, f"many-{number}") for number in range(40)])
    assert {job.state for job in jobs} == {"successful"}
    assert len({job.run_id for job in jobs}) <= 8


def test_cancel_ends_the_processes_and_requeues_the_other_jobs_of_the_run(cloud: Cloud) -> None:
    slow = jobs_fake.submit(cloud, "slow", item={"seconds": 60})
    root = cloud.settings.root
    pid_file = root / f"file-{slow}.pid"
    jobs_fake.wait_for(lambda: pid_file.exists() and pid_file.read_text())
    module = int(pid_file.read_text())
    assert jobs_fake.processes_of(root)
    cancel(cloud, slow)
    (job,) = jobs_fake.ended(cloud, slow)
    assert job.state == "canceled"
    assert not Path(f"/proc/{module}").exists()
    assert jobs_fake.processes_of(root) == []
    (job,) = jobs_fake.ended(cloud, jobs_fake.submit(cloud, "slow"))
    assert job.state == "successful"


def test_an_ansible_that_is_killed_is_run_again(cloud: Cloud) -> None:
    killed = cloud.settings.root / "killed"
    job_id = jobs_fake.submit(cloud, "killed", item={"until": str(killed)})
    jobs_fake.wait_for((cloud.settings.root / f"file-{job_id}.busy").exists)
    # The launcher also holds the lock while it forks.
    jobs_fake.wait_for(lambda: len(jobs_fake.topmost(cloud.settings.root)) == 1)
    os.kill(jobs_fake.topmost(cloud.settings.root)[0], signal.SIGKILL)
    killed.touch()
    (job,) = jobs_fake.ended(cloud, job_id)
    assert (job.state, job.attempts) == ("successful", 2)


def test_a_launcher_that_died_is_replaced(cloud: Cloud) -> None:
    jobs_fake.ended(cloud, jobs_fake.submit(cloud, "a"))
    killed = launchers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    (job,) = jobs_fake.ended(cloud, jobs_fake.submit(cloud, "a"))
    assert job.state == "successful"
    assert killed and launchers() - killed


def test_a_full_disk_while_a_run_begins_counts_as_an_attempt(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, failures = RunDirectory.write, iter([OSError(errno.ENOSPC, "No space left on device")])

    def write(directory: RunDirectory, name: str, text: str) -> Path:
        if name == "env/extravars" and (error := next(failures, None)):
            raise error
        return usual(directory, name, text)

    monkeypatch.setattr(RunDirectory, "write", write)
    monkeypatch.setattr("skywright.jobs.engine.settle.BACK_OFF", timedelta(seconds=0.5))
    job_id = jobs_fake.submit(cloud, "a")
    jobs_fake.wait_for(lambda: jobs_fake.job(cloud, job_id).waiting_for)
    assert "No space left on device" in (jobs_fake.job(cloud, job_id).waiting_for or "")
    (job,) = jobs_fake.ended(cloud, job_id)
    assert (job.state, job.attempts) == ("successful", 2)


def full(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [("skywright.jobs.worker.RunDirectory", full), ("skywright.jobs.runs.rundir.is_full", lambda _path: True)],
    ids=["full", "nearly"],
)
def test_jobs_wait_while_the_disk_is_full(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, name: str, stand_in: object
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(name, stand_in)
        job_id = jobs_fake.submit(cloud, "a")
        jobs_fake.wait_for(lambda: jobs_fake.job(cloud, job_id).waiting_for)
        job = jobs_fake.job(cloud, job_id)
        assert job.waiting_for == "a worker that can begin a run: No space left on device"
    (job,) = jobs_fake.ended(cloud, job_id)
    assert (job.state, job.attempts) == ("successful", 1)


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    cloud = jobs_fake.make_cloud(tmp_path)
    cloud.settings.run_seconds = 2
    with working(cloud):
        (job,) = jobs_fake.ended(cloud, jobs_fake.submit(cloud, "a", item={"seconds": 60}))
        assert (job.state, job.attempts) == ("failed", 1)
        assert job.error == "The run took too long and was ended"
        assert jobs_fake.processes_of(tmp_path) == []


def marked(run_id: str) -> subprocess.Popen[bytes]:
    """Start a process with the run's id that is no descendant of the run and has none of its pipes."""
    process = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: run_id}, start_new_session=True)
    # The kernel shows the environment a moment after Popen() returns.
    jobs_fake.wait_for(lambda: run_id.encode() in Path(f"/proc/{process.pid}/environ").read_bytes())
    return process


def test_a_process_that_was_not_listed_is_killed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its parent ended while /proc was read, just after it had started it."""
    killed: list[int] = []
    scans = iter([[1], [], [2], [], []])
    monkeypatch.setattr(rundir, "_marked", lambda _run_id: next(scans))
    monkeypatch.setattr(rundir, "_kill", killed.extend)
    rundir.kill_marked(new_uuid())
    assert killed == [1, 2]


def test_a_run_begins_after_the_processes_of_an_earlier_one_ended(cloud: Cloud) -> None:
    left, other = marked(earlier := new_uuid()), marked(new_uuid())
    try:
        with cloud.database.write() as session:
            session.get_one(Host, "here").unended_runs = [earlier]
        (job,) = jobs_fake.ended(cloud, jobs_fake.submit(cloud, "a"))
        assert job.state == "successful"
        assert (left.poll(), other.poll()) == (-signal.SIGTERM, None)
        with cloud.database.read() as session:
            assert session.get_one(Host, "here").unended_runs == []
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


def test_no_run_begins_if_processes_cannot_be_ended(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_arguments: object) -> dict[str, str]:
        return {"here": "process 7 (dd) does not end"}

    with monkeypatch.context() as patch:
        patch.setattr("skywright.jobs.runs.processes.end", end)
        job_id = jobs_fake.submit(cloud, "a")
        jobs_fake.wait_for(lambda: jobs_fake.job(cloud, job_id).held_by)
    assert not (cloud.settings.root / f"file-{job_id}").exists()
    with cloud.database.write() as session:
        host = session.get_one(Host, "here")
        reason = "processes of an earlier run could not be ended: process 7 (dd) does not end"
        assert (host.up, host.unreachable) == (False, reason)
        set_state(session, cloud, host, "enabled")
    assert jobs_fake.ended(cloud, job_id)[0].state == "successful"


def test_a_process_that_released_the_runs_lock_ends_with_the_run(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, new_uuid()) as directory:
        process = marked(directory.path.name)
        directory.kill_remaining()
        assert process.wait(5) == -signal.SIGKILL


def test_jobs_survive_a_worker_that_is_killed(tmp_path: Path) -> None:
    cloud = jobs_fake.make_cloud(tmp_path)
    ids = [jobs_fake.submit(cloud, str(number), item={"seconds": 0.3}) for number in range(6)]
    with jobs_fake.worker_process(tmp_path):
        jobs_fake.wait_for(lambda: list(tmp_path.glob("file-*.busy")))
    with jobs_fake.worker_process(tmp_path) as second:
        jobs = jobs_fake.ended(cloud, *ids)
        # The module fails for an item that another process is writing at the same time.
        assert [(job.state, job.error) for job in jobs] == [("successful", None)] * 6
        assert {job.attempts for job in jobs} == {2}
        assert sorted((tmp_path / "settled").read_text().split()[::2]) == sorted(ids)
        second.terminate()
        assert second.wait(15) == 0
    assert jobs_fake.processes_of(tmp_path) == []
    assert {path.name for path in cloud.settings.run_dir.glob("*/*")} <= {"record.json"}


def test_a_worker_that_is_killed_while_it_ends_earlier_processes_leaves_no_files(tmp_path: Path) -> None:
    cloud = jobs_fake.make_cloud(tmp_path)
    with cloud.database.write() as session:
        session.get_one(Host, "here").unended_runs = [new_uuid()]
    jobs_fake.submit(cloud, "a")
    with jobs_fake.worker_process(tmp_path):
        jobs_fake.wait_for(lambda: list(cloud.settings.run_dir.rglob("inventory")))
    jobs_fake.wait_for(lambda: recover(cloud, LeaseWatch(0)))
    assert {path.name for path in cloud.settings.run_dir.glob("*/*")} == {"record.json"}


def test_no_process_of_a_run_outlives_its_worker(tmp_path: Path) -> None:
    cloud = jobs_fake.make_cloud(tmp_path)
    job_id = jobs_fake.submit(cloud, "a", item={"seconds": 60})
    with jobs_fake.worker_process(tmp_path):
        jobs_fake.wait_for((tmp_path / f"file-{job_id}.busy").exists)
    jobs_fake.wait_for(lambda: not jobs_fake.processes_of(tmp_path), 5)
    module = int((tmp_path / f"file-{job_id}.pid").read_text())
    jobs_fake.wait_for(lambda: not Path(f"/proc/{module}").exists(), 5)


def test_a_worker_that_stops_requeues_its_long_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywright.jobs.worker.STOP_SECONDS", 0.5)
    cloud = jobs_fake.make_cloud(tmp_path)
    job_id = jobs_fake.submit(cloud, "a", item={"seconds": 60})
    worker = Worker(cloud)
    thread = threading.Thread(target=worker.run)
    thread.start()
    jobs_fake.wait_for((tmp_path / f"file-{job_id}.busy").exists)
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert jobs_fake.job(cloud, job_id).state == "queued"
    assert jobs_fake.processes_of(tmp_path) == []

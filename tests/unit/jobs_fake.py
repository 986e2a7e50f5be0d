"""A worker with a test playbook, which writes files on this machine instead of creating servers on hosts.

`python jobs_fake.py STATE` runs such a worker, for tests that kill it.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from skywright.cloud import Cloud
from skywright.core import Core, Outcome, Work
from skywright.db.jobs import Host, Job
from skywright.jobs.engine.submit import enqueue
from skywright.jobs.runs import rundir
from skywright.jobs.worker import Worker
from skywright.services import registry
from skywright.settings import Settings

HERE = Path(__file__).parent


class FakeKind:
    """Jobs of `playbooks/cloud/fake.yml`: an item is a file to write; each job's outcome is appended to `settled`."""

    name = playbook = "fake"
    read_only = probing = False

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        work = Work()
        for job in jobs:
            arguments = job.arguments
            if "raise" in arguments:
                raise RuntimeError(arguments["raise"])
            if "refuse" in arguments:
                work.refused[job.id] = arguments["refuse"]
                continue
            host = arguments.get("host", "here")
            item = {"id": job.id, "directory": str(core.settings.root), **arguments.get("item", {})}
            work.items.setdefault(host, {}).setdefault("files", []).append(item)
            work.depends[job.id] = {(host, job.id)}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        if "settle" in job.arguments:
            raise RuntimeError(job.arguments["settle"])
        with (core.settings.root / "settled").open("a") as file:
            file.write(f"{job.id} {outcome.ok}\n")


def make_cloud(state: Path, *, create: bool = True) -> Cloud:
    """Return a cloud in *state* with the test playbooks and the hosts `here` (this machine), `gone` (unreachable)."""
    cloud = Cloud(
        Settings(state_dir=state, project_dir=HERE / "jobs_project", observe_seconds=0, workers_sweep_seconds=0.5),
        [FakeKind(), *registry.kinds()],
    )
    if create:
        from databases import make_tables  # noqa: PLC0415 - the process of a worker finds this directory only

        make_tables(cloud.database)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        gone = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_python_interpreter": "/usr/bin/python3"}
        with cloud.database.write() as session:
            session.add_all(
                [Host(name="here", groups=["computes"], variables=local), Host(name="gone", variables=gone)]
            )
    return cloud


def submit(cloud: Cloud, *resources: str, **arguments: object) -> str:
    """Queue a fake job on *resources* and return its id."""
    with cloud.database.write() as session:
        job = enqueue(session, cloud.queue, "fake", "write", [("file", name) for name in resources], arguments)
        session.flush()
        return job.id


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until *condition* holds; AssertionError if it does not in time."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "timeout"
        time.sleep(0.01)


def ended(cloud: Cloud, *job_ids: str) -> list[Job]:
    """Wait until all jobs have ended and return them."""
    wait_for(lambda: all(job(cloud, job_id).finished_at for job_id in job_ids), 40)
    return [job(cloud, job_id) for job_id in job_ids]


@contextlib.contextmanager
def worker_process(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker in a process of its own; at the end it is killed, unless it has ended."""
    with subprocess.Popen([sys.executable, __file__, str(state)], stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(state: Path) -> list[int]:
    """Return the other processes of runs in *state*, which hold a run's lock open."""
    return [pid for pid, path in rundir.open_files() if path.is_relative_to(state / "runs")]


def topmost(state: Path) -> list[int]:
    """Return those whose parents are not among them: the guardians of the runs."""
    processes = {pid: _parent(pid) for pid in processes_of(state)}
    return [pid for pid, parent in processes.items() if parent not in processes]


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return 0


def job(cloud: Cloud, job_id: str) -> Job:
    """Return the current state of the job."""
    with cloud.database.read() as session:
        return session.query(Job).filter_by(id=job_id).one()


def main() -> None:
    worker = Worker(make_cloud(Path(sys.argv[1]), create=False))
    signal.signal(signal.SIGTERM, lambda _number, _frame: worker.stop())
    worker.run()


if __name__ == "__main__":
    main()

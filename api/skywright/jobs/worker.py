"""The worker: claims jobs, runs them and settles them. All its state is in the database."""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from skywright.core import DELETE, Core
from skywright.db import DatabaseUnavailable, new_uuid, utcnow
from skywright.db.jobs import Job
from skywright.jobs.engine import recover
from skywright.jobs.engine.claim import Claim, claim
from skywright.jobs.engine.leases import Leases, LeaseWatch, clock
from skywright.jobs.engine.rendering import RunHost
from skywright.jobs.engine.report import PersistentWriter, Report
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.selection import BATCH, Selection
from skywright.jobs.runs import processes, records, runner
from skywright.jobs.runs.launcher_client import Launcher
from skywright.jobs.runs.progress import Progress, pipe_of
from skywright.jobs.runs.rundir import RunDirectory
from skywright.jobs.upkeep import observe
from skywright.jobs.upkeep.housekeeping import Housekeeping
from skywright.log import log_context

log = logging.getLogger(__name__)

# A run needs a CPU while it starts; after that it waits for hosts. So few may start at a time, but more may run.
START_SECONDS = 3.0
STARTING_RUNS = 2
RUNS = 8
# Jobs come in bursts. It pays to wait a moment for the next job to make one run for all of them, and a little longer if
# another run has just begun. An idle worker waits less for the second job, because most jobs come alone.
BURST_SECONDS = 0.05
SECOND_SECONDS = 0.015
BURST_LIMIT = 0.5
GATHER_SECONDS = 0.3
STOP_SECONDS = 10.0
# The directory of Ansible's connection sockets, as in ansible.cfg.
SOCKETS = "var/ansible/cp"
UNAVAILABLE_SECONDS = 0.5
EARLIER = "processes of an earlier run"


@dataclass
class Active:
    """A run of this worker."""

    claim: Claim
    run: runner.Run
    started: float = field(default_factory=time.monotonic)


class Worker:
    """One worker process."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._project = core.settings.project_dir.resolve()
        self._launcher = Launcher(runner.environment(self._project), self._project)
        self._pool = ThreadPoolExecutor(RUNS, thread_name_prefix="run")
        self._active: dict[str, Active] = {}
        self._changed = threading.Lock()
        self._stopping = threading.Event()
        self._next_sweep = 0.0
        self._selection = Selection()
        self._leases = Leases(core, self.name)
        self._foreign_leases = LeaseWatch(core.settings.lease_seconds, core.settings.workers_sweep_seconds)
        self._writer = PersistentWriter(core, self._stopping.is_set)
        self._housekeeping = Housekeeping(core, self.name)

    def stop(self) -> None:
        """Claim no more jobs; `run` returns when the runs have ended."""
        self._stopping.set()
        self.core.queue.wake()

    def run(self) -> None:
        """Work until `stop`."""
        self._launcher.start()
        self.core.queue.wait(0)  # notifications arrive from now on
        self._leases.start()
        log.info("worker %s is ready", self.name)
        while not self._stopping.is_set():
            try:
                pause = self._cycle()
            except DatabaseUnavailable:
                log.warning("the database is unavailable")
                pause = UNAVAILABLE_SECONDS
            except Exception:
                log.exception("a cycle of the worker failed; it continues")
                pause = self.core.settings.workers_sweep_seconds
            self.core.queue.wait(pause)
        self._finish()

    def _cycle(self) -> float:
        """Do all that is due; return how many seconds to wait before the next cycle."""
        sweep = self.core.settings.workers_sweep_seconds
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + sweep
            recover.recover(self.core, self._foreign_leases)
            observe.submit_if_due(self.core)
            self._housekeeping.run_due(len(self._active))
        self._cancel_requested()
        while (pause := self._seconds_until_capacity()) == 0 and self._start_next():
            pass
        return min(pause, sweep) or sweep

    def _seconds_until_capacity(self) -> float:
        """Return for how many seconds no run may start: there are enough runs, or further jobs are awaited for the next
        one.
        """
        with self._changed:
            started = sorted(run.started for run in self._active.values())
        if len(started) >= RUNS:
            return self.core.settings.workers_sweep_seconds  # the end of any run wakes the worker
        free_at = started[-1] + GATHER_SECONDS if started else 0.0
        if len(started) >= STARTING_RUNS:
            free_at = max(free_at, started[-STARTING_RUNS] + START_SECONDS)
        return max(0.0, free_at - time.monotonic())

    def _gather_burst(self) -> None:
        """Wait as long as jobs keep coming."""
        limit = time.monotonic() + BURST_LIMIT
        pause = BURST_SECONDS if self._active else SECOND_SECONDS
        while self.core.queue.wait(pause) and time.monotonic() < limit:
            pause = BURST_SECONDS

    def _start_next(self) -> bool:
        """Claim the next jobs and start their run; return False if no job can run."""
        with self.core.database.read() as session:
            waiting = session.scalar(select(Job.sequence).where(Job.state == "queued").limit(1))
        if waiting is None:
            return False
        self._gather_burst()
        run_id = new_uuid()
        with ExitStack() as stack:
            directory = stack.enter_context(self._make_directory(run_id))
            since = clock()
            claimed = self._claim(run_id)
            if claimed is None or not claimed.hosts:
                return claimed is not None
            work = claimed.work
            limit = work.timeout_seconds or self.core.settings.run_seconds
            run = runner.Run(
                directory, self._project, claimed.playbook, self._launcher, check=work.check, timeout_seconds=limit
            )
            active = Active(claimed, run)
            with self._changed:
                self._active[run_id] = active
            self._leases.hold(run_id, since, run.cancel)
            self.core.queue.notify_followers()
            self._pool.submit(self._execute, active, directory)
            stack.pop_all()  # the run closes the directory from now on
        return True

    def _make_directory(self, run_id: str) -> RunDirectory:
        try:
            return RunDirectory(self.core.settings.run_dir, run_id)
        except OSError as error:  # a full disk: say so in the waiting jobs
            with self.core.database.write() as session:
                unexplained = (Job.state == "queued") & Job.waiting_for.is_(None)
                for job in session.scalars(select(Job).where(unexplained).limit(BATCH)):
                    job.waiting_for, job.waiting_since = f"a worker that can begin a run: {error.strerror}", utcnow()
            raise

    def _claim(self, run_id: str) -> Claim | None:
        try:
            with self.core.database.write() as session:
                return claim(session, self.core, self.name, run_id, self._selection)
        except DatabaseUnavailable as outage:
            if outage.uncertain:  # the claim may be committed, but nothing of its run has begun
                self._writer.release(run_id)
            raise

    def _execute(self, active: Active, directory: RunDirectory) -> None:
        """Run the playbook and settle the jobs, in a thread of the pool."""
        claimed = active.claim
        report = Report(self._writer, claimed)

        def sink(batch: list[runner.RunEvent]) -> None:
            report.add(batch)
            if time.monotonic() - active.started > runner.FLUSH_SECONDS:
                report.store()

        try:
            with directory, log_context(run=claimed.run_id):
                records.begin(self.core, directory, claimed)
                results = self._run_playbook(active, report, sink)
                report.settle(results)
                log.info("run %s %s: %s", claimed.run_id, claimed.playbook, results.state)
                records.end(directory, claimed, results)
        except DatabaseUnavailable:
            log.error("run %s ended, but the database is unavailable: its jobs will run again", claimed.run_id)
        except Exception as error:
            log.exception("run %s failed", claimed.run_id)
            report.requeue_jobs(f"The run failed: {error}")
        finally:
            self._leases.drop(claimed.run_id)
            with self._changed:
                del self._active[claimed.run_id]
            self.core.queue.wake()

    def _run_playbook(self, active: Active, report: Report, sink: runner.Sink) -> Results:
        """Run the playbook on hosts without processes of earlier runs. If it ended early, end its processes."""
        claimed = active.claim
        left = self._end_processes(claimed, claimed.hosts, claimed.unended)
        hosts = [host for host in claimed.hosts if host[0] not in left]
        results = self._execute_on(hosts, active, report, sink) if hosts else Results.without_hosts()
        results.add_unreachable({host: f"{EARLIER} could not be ended: {reason}" for host, reason in left.items()})
        if results.ended_early:
            results.unended = self._end_processes(claimed, hosts, {name: [claimed.run_id] for name, _, _ in hosts})
        return results

    def _execute_on(self, hosts: Sequence[RunHost], active: Active, report: Report, sink: runner.Sink) -> Results:
        claimed = active.claim
        items = {name: claimed.work.items.get(name, {}) for name, _, _ in hosts}
        variables: dict[str, Any] = {"skywright_items": items}
        variables |= claimed.work.variables | claimed.work.confidential
        with ExitStack() as stack:
            if len(claimed.attempts) > 1:
                variables["skywright_progress"] = pipe_of(claimed.run_id)
                sockets = self._project / SOCKETS
                stack.enter_context(Progress(claimed.run_id, hosts, sockets, report.add_early_results))
            return active.run.execute(runner.inventory(hosts), variables, sink)

    def _end_processes(
        self, claimed: Claim, hosts: Sequence[RunHost], wanted: Mapping[str, Sequence[str]]
    ) -> dict[str, str]:
        # In the run's directory: if this worker dies, these files are removed with the run's.
        directory = self.core.settings.run_dir / claimed.run_id
        return processes.end(self._launcher, self._project, directory, hosts, wanted)

    def _cancel_requested(self) -> None:
        with self._changed:
            mine = dict(self._active)
        if mine:
            with self.core.database.read() as session:
                begun = (Job.state == "running") & ~Job.undoing & (Job.action != DELETE)
                wanted = Job.cancel_requested_at.is_not(None) & begun
                found = session.scalars(select(Job.run_id).where(Job.run_id.in_(mine), wanted).distinct()).all()
            for run_id in found:
                mine[run_id or ""].run.cancel()

    def _finish(self) -> None:
        """Wait a limited time for the runs; then end them and return their jobs to the queue."""
        deadline = time.monotonic() + STOP_SECONDS
        while self._active and time.monotonic() < deadline:
            self.core.queue.wait(0.2)
        with self._changed:
            for active in self._active.values():
                active.run.cancel()
        self._pool.shutdown(wait=True)
        self._leases.stop()
        self._launcher.close()
        with suppress(DatabaseUnavailable):
            self._housekeeping.end()
        self.core.queue.close()
        log.info("worker %s has stopped", self.name)

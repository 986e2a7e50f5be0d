"""Writes a run's events and its jobs' outcomes to the database. Writing can be repeated without another effect.

The database may become unavailable at any time, and it may be uncertain whether a transaction was committed. Each
repetition therefore first reads from the run's row how many events are stored and whether the run has ended.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome
from skywright.db import DatabaseUnavailable, utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs.engine import events, host_state
from skywright.jobs.engine.claim import Claim, still_claimed
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import cancel, requeue, settle

STORE_TIMEOUT = 1.0


class PersistentWriter:
    """Writes that wait for the database without limit, unless the worker is *stopping*."""

    def __init__(self, core: Core, stopping: Callable[[], bool]) -> None:
        self.core, self._stopping = core, stopping

    def do(self, work: Callable[[Session], None]) -> None:
        self.core.database.transact(work, math.inf, self._stopping)

    def release(self, run_id: str) -> None:
        """Undo a claim that may have been committed."""
        self.do(partial(self._release, run_id))

    def _release(self, run_id: str, session: Session) -> None:
        for job in session.scalars(select(Job).where(Job.run_id == run_id, Job.state == "running")):
            requeue(session, self.core, job, "The database was lost", counted=False)
        run = session.get(Run, run_id)
        if run is not None and run.state == "running":
            run.state, run.finished_at = "error", utcnow()


class Report:
    """The events and results of one run."""

    def __init__(self, writer: PersistentWriter, claimed: Claim) -> None:
        self._writer, self._core, self._claimed = writer, writer.core, claimed
        self._pending: list[dict[str, Any]] = []
        self._stored = 0  # number of events that are certainly in the database
        # Results that came before the end of the run.
        self._early_results: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._settled: set[str] = set()  # jobs that ended because of these results

    def add(self, batch: list[dict[str, Any]]) -> None:
        self._pending += [event for event in batch if event.get("event") in events.KEPT]

    def store(self) -> None:
        """Store the pending events; if the database is unavailable, the next call stores them."""
        with suppress(DatabaseUnavailable):
            with self._core.database.write(STORE_TIMEOUT) as session:
                stored = self._add_events(session)
            self._stored = stored
            self._pending.clear()
            self._core.queue.notify_followers()

    def add_early_results(self, reported: list[tuple[str, dict[str, Any]]]) -> None:
        """Add results that are final before the run ends, and end the jobs that need no other results.

        Only successful jobs end before their run: the reason of a failure is known when all results are. The last job
        ends with its run: a run without a running job has no lease and would not be recovered.
        """
        for host, result in reported:
            self._early_results.setdefault((host, result["id"]), []).append(
                {**result, "host": host, "module": result.get("kind")}
            )
        running = self._claimed.attempts.keys() - self._settled
        done = {job_id for job_id in running if self._is_done(job_id)}
        if done == running:
            done.remove(max(done))
        if not done:
            return
        with suppress(DatabaseUnavailable):
            with self._core.database.write(STORE_TIMEOUT) as session:
                for job in still_claimed(session, {job_id: self._claimed.attempts[job_id] for job_id in done}):
                    results = [result for key in self._depends(job.id) for result in self._early_results[key]]
                    settle(session, self._core, job, Outcome(ok=True, results=results))
            self._settled |= done
            self._core.queue.notify_followers()

    def _depends(self, job_id: str) -> list[tuple[str, str]]:
        return sorted(self._claimed.work.depends[job_id])

    def _is_done(self, job_id: str) -> bool:
        reported = [self._early_results.get(key, []) for key in self._depends(job_id)]
        return all(
            any(result.get("final") for result in results) and not any(result.get("error") for result in results)
            for results in reported
        )

    def settle(self, results: Results) -> None:
        """End the run and its jobs, except for those that have to run again."""
        self._writer.do(partial(self._settle, results))
        self._core.queue.notify_followers()

    def requeue_jobs(self, reason: str) -> None:
        """Queue the jobs again, because the run failed as a whole for *reason*."""
        with suppress(DatabaseUnavailable):  # then the recovery queues them
            self._writer.do(partial(self._requeue_jobs, reason))

    def _add_events(self, session: Session) -> int:
        """Add the pending events that an earlier attempt, perhaps committed, has not added."""
        run = session.get_one(Run, self._claimed.run_id)
        events.store(session, run.id, self._pending[(run.events or 0) - self._stored :])
        return run.events or 0

    def _settle(self, results: Results, session: Session) -> None:
        row = session.get_one(Run, self._claimed.run_id)
        if row.state != "running":  # the end was stored before, or another worker took the jobs
            return
        self._add_events(session)
        host_state.record_reachability(session, self._core, results, row.started_at)
        self._record_unended(session, results)
        for job in still_claimed(session, self._claimed.attempts):
            self._settle_job(session, job, results)
        row.state, row.rc, row.finished_at = results.state, results.rc, utcnow()

    def _settle_job(self, session: Session, job: Job, results: Results) -> None:
        depends = self._claimed.work.depends[job.id]
        outcome = results.outcome(depends)
        # If a run took too long, any of its jobs may be the reason: each gets another attempt.
        shared_timeout = results.timed_out and len(self._claimed.attempts) > 1
        uncertain = results.lost or shared_timeout or results.has_lost_events(depends)
        if results.canceled and (job.cancel_requested_at is None or job.undoing):
            requeue(session, self._core, job, "Its run was ended for another reason", counted=False)
        elif results.canceled:
            cancel(session, self._core, job, results.unended_text(host for host, _ in depends))
        elif uncertain and not outcome.ok:
            requeue(session, self._core, job, outcome.error or "The run was killed")
        elif not host_state.postpone(session, self._core, job, self._claimed.work, results):
            settle(session, self._core, job, outcome)

    def _record_unended(self, session: Session, results: Results) -> None:
        """Record the hosts that may still execute processes of the run, because they did not answer until its end."""
        blocked, left = results.unreachable, set(results.unended)
        playbooks = session.scalars(select(Job.playbook).where(Job.id.in_(self._claimed.attempts)).distinct())
        if not all(self._core.kind_of(playbook).read_only for playbook in playbooks):
            left |= blocked.keys()
        ended = {host: runs for host, runs in self._claimed.unended.items() if host not in blocked}
        host_state.record_unended(session, self._claimed.run_id, left, ended)

    def _requeue_jobs(self, reason: str, session: Session) -> None:
        for job in still_claimed(session, self._claimed.attempts):
            requeue(session, self._core, job, reason)
        row = session.get_one(Run, self._claimed.run_id)
        row.state, row.finished_at = "error", utcnow()
        host_state.record_unended(session, row.id, row.hosts)

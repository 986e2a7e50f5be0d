"""What a run tells the database: its events, and how its jobs fared. It can be told twice, and is told once.

The database may go away at any time, and leave open whether a transaction took place. So whoever tells something again
looks first: the run's row says how many events there are, and whether the run's end was told.
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
from skywright.jobs.engine.claim import Claim, jobs_of
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import cancel, requeue, settle

STORE_PATIENCE = 1.0


class Persistence:
    """Writing that waits for the database however long it is away; only who is *stopping* does not wait."""

    def __init__(self, core: Core, stopping: Callable[[], bool]) -> None:
        self.core, self._stopping = core, stopping

    def do(self, work: Callable[[Session], None]) -> None:
        self.core.database.transact(work, math.inf, self._stopping)

    def release(self, run_id: str) -> None:
        """Undo a claim of which nobody knows whether it took place."""
        self.do(partial(self._release, run_id))

    def _release(self, run_id: str, session: Session) -> None:
        for job in session.scalars(select(Job).where(Job.run_id == run_id, Job.state == "running")):
            requeue(session, self.core, job, "The database was lost", counted=False)
        run = session.get(Run, run_id)
        if run is not None and run.state == "running":
            run.state, run.finished_at = "error", utcnow()


class Report:
    """What is to be told of one run."""

    def __init__(self, persistence: Persistence, claimed: Claim) -> None:
        self._persistence, self._core, self._claimed = persistence, persistence.core, claimed
        self._pending: list[dict[str, Any]] = []
        self._stored = 0  # events that are certainly in the database
        self._told: dict[tuple[str, str], list[dict[str, Any]]] = {}  # results that came before the run's end
        self._settled: set[str] = set()  # jobs that ended by these

    def add(self, batch: list[dict[str, Any]]) -> None:
        self._pending += [event for event in batch if event.get("event") in events.KEPT]

    def store(self) -> None:
        """Write down what happened so far; if the database is away, later."""
        with suppress(DatabaseUnavailable):
            with self._core.database.write(STORE_PATIENCE) as session:
                stored = self._add_events(session)
            self._stored = stored
            self._pending.clear()
            self._core.queue.notify_followers()

    def take_in(self, told: list[tuple[str, dict[str, Any]]]) -> None:
        """Take results that are final while the run goes on, and end the jobs that need no others.

        Only success ends a job before its run: the reason of a failure is known when all results are. The last job
        ends with its run: a run that has no running job has no lease, and would not be recovered.
        """
        for host, result in told:
            self._told.setdefault((host, result["id"]), []).append(
                {**result, "host": host, "module": result.get("kind")}
            )
        running = self._claimed.attempts.keys() - self._settled
        done = {job_id for job_id in running if self._is_done(job_id)}
        if done == running:
            done.remove(max(done))
        if not done:
            return
        with suppress(DatabaseUnavailable):
            with self._core.database.write(STORE_PATIENCE) as session:
                for job in jobs_of(session, {job_id: self._claimed.attempts[job_id] for job_id in done}):
                    results = [result for key in self._depends(job.id) for result in self._told[key]]
                    settle(session, self._core, job, Outcome(ok=True, results=results))
            self._settled |= done
            self._core.queue.notify_followers()

    def _depends(self, job_id: str) -> list[tuple[str, str]]:
        return sorted(self._claimed.work.depends[job_id])

    def _is_done(self, job_id: str) -> bool:
        told = [self._told.get(key, []) for key in self._depends(job_id)]
        return all(
            any(result.get("final") for result in results) and not any(result.get("error") for result in results)
            for results in told
        )

    def settle(self, results: Results) -> None:
        """The run has ended: so do its jobs, but for those that are to run again."""
        self._persistence.do(partial(self._settle, results))
        self._core.queue.notify_followers()

    def give_back(self, reason: str) -> None:
        """The run came to nothing, for *reason*: its jobs run again."""
        with suppress(DatabaseUnavailable):  # then others will take them
            self._persistence.do(partial(self._give_back, reason))

    def _add_events(self, session: Session) -> int:
        """Add the pending events that no earlier attempt, of which nobody knew how it ended, has added."""
        run = session.get_one(Run, self._claimed.run_id)
        events.store(session, run.id, self._pending[(run.events or 0) - self._stored :])
        return run.events or 0

    def _settle(self, results: Results, session: Session) -> None:
        row = session.get_one(Run, self._claimed.run_id)
        if row.state != "running":  # it was told before, or another worker took the jobs over
            return
        self._add_events(session)
        host_state.note(session, self._core, results, row.started_at)
        self._note_unended(session, results)
        for job in jobs_of(session, self._claimed.attempts):
            self._settle_job(session, job, results)
        row.state, row.rc, row.finished_at = results.state, results.rc, utcnow()

    def _settle_job(self, session: Session, job: Job, results: Results) -> None:
        depends = self._claimed.work.depends[job.id]
        outcome = results.outcome(depends)
        # Of the jobs of a run that took too long any may be the reason: they get another one.
        doubtful = results.lost or (results.timed_out and len(self._claimed.attempts) > 1) or results.unsure(depends)
        if results.canceled and (job.cancel_requested_at is None or job.undoing):
            requeue(session, self._core, job, "Its run was ended for another reason", counted=False)
        elif results.canceled:
            cancel(session, self._core, job, results.left(host for host, _ in depends))
        elif doubtful and not outcome.ok:
            requeue(session, self._core, job, outcome.error or "The run was killed")
        elif not host_state.put_off(session, self._core, job, self._claimed.work, results):
            settle(session, self._core, job, outcome)

    def _note_unended(self, session: Session, results: Results) -> None:
        """A host that did not answer to the end may still execute what the run began there."""
        blocked, left = results.unreachable, set(results.unended)
        playbooks = session.scalars(select(Job.playbook).where(Job.id.in_(self._claimed.attempts)).distinct())
        if not all(self._core.kind_of(playbook).read_only for playbook in playbooks):
            left |= blocked.keys()
        ended = {host: runs for host, runs in self._claimed.unended.items() if host not in blocked}
        host_state.note_unended(session, self._claimed.run_id, left, ended)

    def _give_back(self, reason: str, session: Session) -> None:
        for job in jobs_of(session, self._claimed.attempts):
            requeue(session, self._core, job, reason)
        row = session.get_one(Run, self._claimed.run_id)
        row.state, row.finished_at = "error", utcnow()
        host_state.note_unended(session, row.id, row.hosts)

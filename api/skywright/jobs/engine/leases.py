"""Leases: how long a run certainly belongs to its worker, and when another worker may take its jobs.

A worker renews the leases of its runs every few seconds. If it cannot, it ends the runs before their leases expire. So
a worker that sees no renewal for the whole duration of a lease can be sure that the run acts on no host any more. Both
measure durations with their own clocks and never compare clocks of two machines.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import update

from skywright.core import Core
from skywright.db import DatabaseUnavailable, utcnow
from skywright.db.jobs import Job

log = logging.getLogger(__name__)

# As parts of a lease: the interval of renewals, and when a run is ended so that nothing is left of it at the expiry.
RENEWALS = 6
USABLE = 0.75
LOOK_SECONDS = 0.25


@dataclass
class HeldLease:
    """A run with a lease: the time of the last renewal, by `clock`, and a function that ends the run."""

    since: float
    end: Callable[[], None]
    ended: bool = False


class Leases:
    """The leases of *worker*'s runs. Own threads renew and watch them, so that nothing else can delay them."""

    def __init__(self, core: Core, worker: str) -> None:
        self._core, self._worker = core, worker
        self._seconds = core.settings.lease_seconds
        self._held: dict[str, HeldLease] = {}
        self._changed = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._every, args=(self._seconds / RENEWALS, self.renew), name="leases"),
            threading.Thread(target=self._every, args=(LOOK_SECONDS, self.watch), name="leases-watch"),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def hold(self, run_id: str, since: float, end: Callable[[], None]) -> None:
        """Hold the lease of a run that was claimed at *since* or later; *end* ends the run."""
        with self._changed:
            self._held[run_id] = HeldLease(since, end)

    def drop(self, run_id: str) -> None:
        """Forget a run that has ended."""
        with self._changed:
            self._held.pop(run_id, None)

    def renew(self) -> None:
        """Renew the leases in the database."""
        with self._changed:
            mine = [run_id for run_id, held in self._held.items() if not held.ended]
        if not mine:
            return
        since = clock()
        mine_running = Job.run_id.in_(mine) & (Job.state == "running") & (Job.worker == self._worker)
        try:
            with self._core.database.write(timeout=1) as session:
                session.execute(update(Job).where(mine_running).values(lease_until=lease_end(self._core)))
        except DatabaseUnavailable:
            return  # the next attempt comes soon; `watch` ends the runs if all attempts fail
        with self._changed:
            for run_id in mine:
                if run_id in self._held:
                    self._held[run_id].since = since

    def watch(self) -> None:
        """End the runs whose leases expire soon."""
        limit = clock() - USABLE * self._seconds
        with self._changed:
            late = {key: held for key, held in self._held.items() if held.since < limit and not held.ended}
            for held in late.values():
                held.ended = True
        for run_id, held in late.items():
            log.error("run %s is ended: its lease could not be renewed", run_id, extra={"run": run_id})
            held.end()

    def _every(self, seconds: float, work: Callable[[], None]) -> None:
        while not self._stopping.wait(seconds):
            try:
                work()
            except Exception:
                log.exception("the renewal or the check of leases failed")


class LeaseWatch:
    """Detects which leases of other machines' runs were not renewed for their whole duration.

    `expired` is to be called every *sweep* seconds.
    """

    def __init__(self, seconds: float, sweep: float = 0.0) -> None:
        self._seconds = seconds
        self._gap = max(seconds / 2, 3 * sweep)
        self._seen: dict[str, tuple[datetime | None, float]] = {}
        self._looked = 0.0

    def expired(self, leases: Mapping[str, datetime | None], now: float | None = None) -> set[str]:
        """Return the ids of the runs whose leases have expired. *leases*: {run id: end}, as in the database at the
        moment *now*.
        """
        now = clock() if now is None else now
        if now - self._looked > self._gap:
            self._seen.clear()  # after a longer pause start again: maybe no worker could renew its lease
        self._looked = now
        for run_id, lease_until in leases.items():
            if run_id not in self._seen or self._seen[run_id][0] != lease_until:
                self._seen[run_id] = lease_until, now
        self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in leases}
        return {run_id for run_id, (_, since) in self._seen.items() if now - since >= self._seconds}


def clock() -> float:
    """Return seconds of a clock that cannot be set and that does not stop while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def lease_end(core: Core) -> datetime:
    """Return the end of a lease that is renewed now. People read it; other workers only notice that it changes."""
    return utcnow() + timedelta(seconds=core.settings.lease_seconds)

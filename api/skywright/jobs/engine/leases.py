"""Leases: how long a run is certainly its worker's, and when another worker may take its jobs.

A worker says every few seconds that its runs live. One that cannot say it ends them before the lease is over: so
whoever finds that a lease was not renewed for as long as it lasts knows that no such run acts on hosts any more.
Both measure with their own clocks how much time has passed, and never compare what two clocks say.
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

# Of a lease: how often it is renewed, and when its run is ended so that nothing of it is left when it is over.
RENEWALS = 6
USABLE = 0.75
LOOK_SECONDS = 0.25


@dataclass
class Held:
    """A run: when its lease was last renewed, by `clock`, and how to end it."""

    since: float
    end: Callable[[], None]
    ended: bool = False


class Leases:
    """The leases of *worker*'s runs, renewed and watched by threads of their own: nothing else can delay them."""

    def __init__(self, core: Core, worker: str) -> None:
        self._core, self._worker = core, worker
        self._seconds = core.settings.lease_seconds
        self._held: dict[str, Held] = {}
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
        """A run was claimed not before *since*; *end* ends it."""
        with self._changed:
            self._held[run_id] = Held(since, end)

    def drop(self, run_id: str) -> None:
        """A run is over."""
        with self._changed:
            self._held.pop(run_id, None)

    def renew(self) -> None:
        """Say in the database that the runs live."""
        with self._changed:
            mine = [run_id for run_id, held in self._held.items() if not held.ended]
        if not mine:
            return
        since = clock()
        mine_running = Job.run_id.in_(mine) & (Job.state == "running") & (Job.worker == self._worker)
        try:
            with self._core.database.write(timeout=1) as session:
                session.execute(update(Job).where(mine_running).values(lease_until=until(self._core)))
        except DatabaseUnavailable:
            return  # the next time comes soon; if none helps, `watch` knows what to do
        with self._changed:
            for run_id in mine:
                if run_id in self._held:
                    self._held[run_id].since = since

    def watch(self) -> None:
        """End the runs whose leases will soon be over."""
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
                log.exception("leases could not be looked after")


class Watch:
    """The leases of runs that are not this machine's: which of them were not renewed for as long as they last.

    It is asked every *sweep* seconds.
    """

    def __init__(self, seconds: float, sweep: float = 0.0) -> None:
        self._seconds = seconds
        self._gap = max(seconds / 2, 3 * sweep)
        self._seen: dict[str, tuple[datetime | None, float]] = {}
        self._looked = 0.0

    def expired(self, leases: Mapping[str, datetime | None], now: float | None = None) -> set[str]:
        """Which of *leases* {run id: until when}, as they are in the database at the moment *now*, are over."""
        now = clock() if now is None else now
        if now - self._looked > self._gap:
            self._seen.clear()  # who did not look does not know: perhaps nobody could renew anything meanwhile
        self._looked = now
        for run_id, lease_until in leases.items():
            if run_id not in self._seen or self._seen[run_id][0] != lease_until:
                self._seen[run_id] = lease_until, now
        self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in leases}
        return {run_id for run_id, (_, since) in self._seen.items() if now - since >= self._seconds}


def clock() -> float:
    """Seconds that nobody sets, and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def until(core: Core) -> datetime:
    """What a lease that is renewed now says; it tells people and, by changing, other workers."""
    return utcnow() + timedelta(seconds=core.settings.lease_seconds)

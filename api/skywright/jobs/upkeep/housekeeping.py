"""Tasks of a worker beside its runs: heartbeat, webhooks, retention, and what killed workers left."""

import logging
import time

from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.operations import Heartbeat
from skywright.jobs.runs import records
from skywright.jobs.upkeep import retention
from skywright.jobs.webhooks.deliveries import Deliveries

log = logging.getLogger(__name__)

BEAT_SECONDS = 15.0


class Housekeeping:
    """The periodic tasks of the worker *name*."""

    def __init__(self, core: Core, name: str) -> None:
        self._core, self._name = core, name
        self._deliveries = Deliveries(core)
        self._next_beat = 0.0
        self._cleaned_up = False
        self._next_retention = time.monotonic() + core.settings.retention_seconds

    def run_due(self, runs: int) -> None:
        """Do the tasks that are due. *runs*: number of active runs."""
        self._deliveries.start()
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            self._write_heartbeat(runs)
        if not self._cleaned_up:  # a worker that was killed may have left files
            records.clean_up(self._core)
            self._cleaned_up = True
        if now >= self._next_retention:
            removed = retention.sweep(self._core)
            if removed:  # there may be more: continue at the next call
                log.info("retention: %d rows removed", removed)
            else:
                self._next_retention = now + self._core.settings.retention_seconds

    def end(self) -> None:
        """Remove the heartbeat of the worker, which stops."""
        self._deliveries.stop()
        with self._core.database.write() as session:
            row = session.get(Heartbeat, self._name)
            if row is not None:
                session.delete(row)

    def _write_heartbeat(self, runs: int) -> None:
        with self._core.database.write() as session:
            row = session.get(Heartbeat, self._name)
            if row is None:
                session.add(Heartbeat(worker=self._name, runs=runs))
            else:
                row.seen_at, row.runs = utcnow(), runs

"""Dry runs of drafts: Ansible in check mode with diffs, by the same runner as jobs. Nothing is stored."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from skywright.db import new_uuid
from skywright.jobs.engine.results import Results
from skywright.jobs.runs import rundir, runner
from skywright.jobs.runs.draft import Draft
from skywright.jobs.runs.launcher_client import Launcher, LauncherError
from skywright.jobs.runs.rundir import RunDirectory
from skywright.settings import Settings

LIMIT_SECONDS = 120.0
IDLE_SECONDS = 60.0  # then the launcher ends: its memory is worth more than the 0.6 s of its start
LEFT_SECONDS = 600.0  # an older directory of a plan is from a process that died


class Planner:
    """Runs drafts. Its launcher starts with a draft, and ends after IDLE_SECONDS without one."""

    def __init__(self, settings: Settings) -> None:
        self._project = settings.project_dir.resolve()
        self._directory = settings.root / "plans"
        self._launcher = Launcher(runner.environment(self._project), self._project)
        self._lock = threading.Lock()
        self._running = 0
        self._idle: threading.Timer | None = None

    def run(self, draft: Draft, timeout_seconds: float = LIMIT_SECONDS) -> Results:
        """Return the results of a dry run. Raises LauncherError if Ansible cannot be started."""
        self._clean_up()
        names = [name for name, _, _ in draft.hosts]
        items = {"skywright_items": {name: draft.items.get(name, {}) for name in names}}
        try:
            with self._launcher_in_use(), RunDirectory(self._directory, new_uuid()) as directory:
                run = runner.Run(
                    directory,
                    self._project,
                    draft.playbook,
                    self._launcher,
                    check=True,
                    timeout_seconds=timeout_seconds,
                )
                return run.execute(runner.inventory(draft.hosts), items, _ignore)
        except OSError as error:  # a full disk
            raise LauncherError(f"Ansible cannot be run: {error.strerror}") from error

    def close(self) -> None:
        """End the launcher."""
        with self._lock:
            self._stop_idle_timer()
        self._launcher.close()

    @contextmanager
    def _launcher_in_use(self) -> Iterator[None]:
        """Keep the launcher within the block. It ends when it was in no block for IDLE_SECONDS."""
        with self._lock:
            self._running += 1
            self._stop_idle_timer()
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._idle = threading.Timer(IDLE_SECONDS, self._end_idle_launcher)
                    self._idle.daemon = True
                    self._idle.start()

    def _stop_idle_timer(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    def _end_idle_launcher(self) -> None:
        with self._lock:
            if not self._running:  # a draft may have come when the time was over
                self._launcher.close()

    def _clean_up(self) -> None:
        """Remove the directories of plans whose process was killed: they hold data of users."""
        for path in self._directory.glob("*"):
            old = path.lstat().st_mtime < time.time() - LEFT_SECONDS
            if old and rundir.is_abandoned(self._directory, path.name):
                rundir.remove(self._directory, path.name)


def _ignore(_events: list[runner.RunEvent]) -> None:
    """Drop the events of a plan; only its results are used."""

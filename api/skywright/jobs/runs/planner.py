"""Dry runs of drafts: Ansible in check mode, with differences, by the same runner as jobs. Nothing is stored."""

import time

from skywright.db import new_uuid
from skywright.jobs.engine.results import Results
from skywright.jobs.runs import rundir, runner
from skywright.jobs.runs.draft import Draft
from skywright.jobs.runs.launcher_client import Launcher, LauncherError
from skywright.jobs.runs.rundir import RunDirectory
from skywright.settings import Settings

LIMIT_SECONDS = 120.0
LEFT_SECONDS = 600.0  # a plan's directory as old as that was left by a process that died


class Planner:
    """Runs drafts; its warm process starts with the first one and ends with this process."""

    def __init__(self, settings: Settings) -> None:
        self._project = settings.project_dir.resolve()
        self._directory = settings.root / "plans"
        self._launcher = Launcher(runner.environment(self._project), self._project)

    def run(self, draft: Draft, timeout_seconds: float = LIMIT_SECONDS) -> Results:
        """What Ansible says that it would change; a LauncherError if it cannot be asked."""
        self._clean_up()
        names = [name for name, _, _ in draft.hosts]
        items = {"skywright_items": {name: draft.items.get(name, {}) for name in names}}
        try:
            with RunDirectory(self._directory, new_uuid()) as directory:
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
            raise LauncherError(f"Nothing can be run here: {error.strerror}") from error

    def close(self) -> None:
        """End the warm process."""
        self._launcher.close()

    def _clean_up(self) -> None:
        """Remove the directories of plans whose process was killed: they hold what users typed."""
        for path in self._directory.glob("*"):
            old = path.lstat().st_mtime < time.time() - LEFT_SECONDS
            if old and rundir.abandoned(self._directory, path.name):
                rundir.remove(self._directory, path.name)


def _ignore(_events: list[runner.RunEvent]) -> None:
    """A plan's events are told to nobody; its results are."""

"""Dry runs of drafts: Ansible in check mode with diffs, by the same runner as jobs. Nothing is stored."""

import time

from skywright.db import new_uuid
from skywright.jobs.engine.results import Results
from skywright.jobs.runs import rundir, runner
from skywright.jobs.runs.draft import Draft
from skywright.jobs.runs.launcher_client import Launcher, LauncherError
from skywright.jobs.runs.rundir import RunDirectory
from skywright.settings import Settings

LIMIT_SECONDS = 120.0
LEFT_SECONDS = 600.0  # an older directory of a plan is from a process that died


class Planner:
    """Runs drafts. Its launcher starts with the first draft and ends with this process."""

    def __init__(self, settings: Settings) -> None:
        self._project = settings.project_dir.resolve()
        self._directory = settings.root / "plans"
        self._launcher = Launcher(runner.environment(self._project), self._project)

    def run(self, draft: Draft, timeout_seconds: float = LIMIT_SECONDS) -> Results:
        """Return the results of a dry run. Raises LauncherError if Ansible cannot be started."""
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
            raise LauncherError(f"Ansible cannot be run: {error.strerror}") from error

    def close(self) -> None:
        """End the launcher."""
        self._launcher.close()

    def _clean_up(self) -> None:
        """Remove the directories of plans whose process was killed: they hold data of users."""
        for path in self._directory.glob("*"):
            old = path.lstat().st_mtime < time.time() - LEFT_SECONDS
            if old and rundir.is_abandoned(self._directory, path.name):
                rundir.remove(self._directory, path.name)


def _ignore(_events: list[runner.RunEvent]) -> None:
    """Drop the events of a plan; only its results are used."""

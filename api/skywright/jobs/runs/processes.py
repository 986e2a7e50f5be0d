"""Ends the processes that runs left on hosts: runs that were ended early, or that lost the connection to a host.

Every process of a run has the run's id in its environment (`runner.MARK`, see plugins/module_utils/processes.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from skywright.db import new_uuid
from skywright.jobs.engine.rendering import RunHost
from skywright.jobs.runs.launcher_client import Launcher, LauncherError
from skywright.jobs.runs.rundir import RunDirectory
from skywright.jobs.runs.runner import Run, RunEvent, inventory

PLAYBOOK = "processes"
LIMIT_SECONDS = 60.0


def end(
    launcher: Launcher, project: Path, parent: Path, hosts: Sequence[RunHost], wanted: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """End the processes of runs that have ended, *wanted* {host: run ids}; return {host: reason} of failures.

    *hosts* have the connection variables; Ansible's files are in a new directory in *parent*.
    """
    mine = [host for host in hosts if wanted.get(host[0])]
    if not mine:
        return {}
    items = {"skywright_items": {name: {"runs": list(wanted[name])} for name, _, _ in mine}}
    try:
        with RunDirectory(parent, new_uuid()) as directory:
            run = Run(directory, project, PLAYBOOK, launcher, timeout_seconds=LIMIT_SECONDS)
            results = run.execute(inventory(mine), items, _ignore)
    except (OSError, LauncherError) as error:
        return {name: f"Ansible cannot be run: {error}" for name, _, _ in mine}
    outcomes = {name: results.outcome({(name, run_id) for run_id in wanted[name]}) for name, _, _ in mine}
    return {name: outcome.error for name, outcome in outcomes.items() if outcome.error}


def _ignore(_events: list[RunEvent]) -> None:
    """Drop the events: they belong to no job."""

"""`skywright replay`: execute a run again, with ansible-playbook on this machine."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from skywright.cli.cloud.steps import StepFailed
from skywright.core import Core
from skywright.jobs.runs import replay
from skywright.jobs.runs.runner import environment
from skywright.services import registry
from skywright.settings import load


def run(name: str, console: Console, *, check: bool, prepare: bool, anyway: bool) -> int:
    """Return Ansible's exit code; raise StepFailed if the run cannot or should not be replayed."""
    cloud = Core(load(), registry.kinds())
    try:
        found = replay.prepare(cloud, name)
    except replay.ReplayError as error:
        raise StepFailed(str(error), "See `skywright jobs list`; the worker's machine keeps the records.") from error
    for difference in found.differences:
        console.print(f"[yellow]since then:[/] {escape(difference)}", soft_wrap=True, highlight=False)
    if found.missing:
        raise StepFailed(
            f"Secrets of this run do not exist any more: {', '.join(found.missing)}",
            "Their resources were changed or deleted.",
        )
    if found.differences and not (check or prepare or anyway):
        raise StepFailed(
            "The run would not be the same as its jobs' today",
            "Use --check first, and --anyway to replay it and undo later changes.",
        )
    path = replay.write(cloud, found)
    command = replay.command(found, path, check=check)
    project = cloud.settings.project_dir.resolve()
    console.print(f"cd {shlex.quote(str(project))} && {shlex.join(command)}", soft_wrap=True, highlight=False)
    if prepare:
        console.print(f"These files hold secrets: rm -r {shlex.quote(str(path))} when you have run it.", soft_wrap=True)
        return 0
    plain = {name: value for name, value in environment(project).items() if not name.startswith("ANSIBLE_")}
    plain["ANSIBLE_CONFIG"] = str(project / "ansible.cfg")
    plain["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{plain.get('PATH', os.defpath)}"
    try:
        return subprocess.run(command, check=False, cwd=project, env=plain).returncode
    finally:
        shutil.rmtree(path)

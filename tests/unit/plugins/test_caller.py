"""A module ends when nobody reads its answer any more."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
MODULE = """
import pathlib, subprocess, sys
from ansible_collections.skywright.cloud.plugins.module_utils import caller
_module_fqn = "a module's"
caller.GRACE_SECONDS = 0.2
caller.end_with_caller()
print("begun", flush=True)
try:
    subprocess.run(["sleep", "60"])
finally:
    pathlib.Path(sys.argv[1]).write_text("cleaned up")
"""


def start(mark: Path, code: str = MODULE) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / ".collections")}
    command = [sys.executable, "-c", code, str(mark)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True)
    assert process.stdout and process.stdout.readline() == b"begun\n"
    return process


def group(process: subprocess.Popen[bytes]) -> list[str]:
    """The processes of its session."""
    found = subprocess.run(["pgrep", "-s", str(process.pid)], check=False, capture_output=True, text=True)
    return found.stdout.split()


def all_gone(process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + 2
    while group(process) and time.monotonic() < end:
        time.sleep(0.01)
    return not group(process)


def test_it_ends_with_the_programs_that_it_runs_and_cleans_up(tmp_path: Path) -> None:
    process = start(tmp_path / "mark")
    end = time.monotonic() + 5
    while len(group(process)) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(group(process)) == 2, "the program that it runs did not start"
    process.stdout.close()  # type: ignore[union-attr]
    process.wait(5)
    assert (tmp_path / "mark").read_text() == "cleaned up"
    assert all_gone(process)


def test_one_that_does_not_listen_ends_too(tmp_path: Path) -> None:
    stubborn = MODULE.replace('subprocess.run(["sleep", "60"])', "caller.os.system('trap \"\" TERM; sleep 60')")
    process = start(tmp_path / "mark", stubborn.replace("try:", "caller.signal.signal(15, 1)\ntry:"))
    process.stdout.close()  # type: ignore[union-attr]
    process.wait(5)
    assert all_gone(process)


def test_as_long_as_somebody_listens_it_works(tmp_path: Path) -> None:
    process = start(tmp_path / "mark", MODULE.replace('"60"', '"0.5"'))
    with process:
        assert process.wait(5) == 0

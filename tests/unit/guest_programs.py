"""Runs the guest's programs as the guest does: with BusyBox, where it is installed."""

import shutil
import subprocess
from pathlib import Path

PROGRAMS = Path(__file__).parents[2] / "roles/guest_image/files/root/usr/lib/skywright"
BUSYBOX = ["busybox"] if shutil.which("busybox") else []
AWKS = [["awk"], *([[*BUSYBOX, "awk"]] if BUSYBOX else [])]


def run(command: list[str], text: str) -> str:
    """The output of *command* with *text* as standard input; errors fail the test."""
    done = subprocess.run(
        command,
        input=text.encode(),
        capture_output=True,
        check=True,
        env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.stderr == b""
    return done.stdout.decode()


def shell(script: str, text: str = "") -> str:
    return run([*BUSYBOX, "sh", "-c", script], text)


def json_lines(text: str, awk: list[str]) -> str:
    """A JSON document as json.awk prints it."""
    return run([*awk, "-f", str(PROGRAMS / "json.awk")], text)

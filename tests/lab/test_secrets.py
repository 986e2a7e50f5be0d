"""Secrets of users are in their servers, and nowhere where others can read them."""

import base64
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.support import ROOT, Lab, Made, unique

CANARY = f"canary-{unique('x')}"
TABLES = ("audit", "event", "job", "run")
# On a host: all logs, systemd's files, files that Ansible may have left; not the servers' own disks and consoles.
TRACES = r"""
{{ journalctl --no-pager -o verbose 2>/dev/null
   find /var/log /tmp /run/log /root/.ansible -type f -exec cat {{}} + 2>/dev/null
}} | grep -a -c -e {patterns} || true
"""


@pytest.fixture
def secrets() -> dict[str, str]:
    return {name: f"{CANARY}-{name}" for name in ("user-data", "password", "metadata")}


class Processes:
    """Collects the command lines, here and on the hosts, that contain a secret while it is entered."""

    def __init__(self, lab: Lab, patterns: list[str]) -> None:
        self._lab, self._patterns = lab, patterns
        self.found: list[str] = []
        self.looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Processes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        # The lab's hosts are containers, so their processes are processes of this machine, too.
        while not self._stop.wait(0.02):
            self.looks += 1
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        text = (process / name).read_bytes().decode(errors="replace")
                    except OSError:
                        continue
                    if any(pattern in text for pattern in self._patterns):
                        self.found.append(f"{name} of {process.name}: {text[:500]}")


def patterns_of(secrets: dict[str, str]) -> list[str]:
    """Return patterns of the secrets: plain, and as base64 of the text that contains them."""
    encoded = base64.b64encode(user_data(secrets)).decode()
    return [CANARY, encoded, encoded[:60]]


def user_data(secrets: dict[str, str]) -> bytes:
    return f"#!/bin/sh\n# {secrets['user-data']}\ntrue\n".encode()


def kept(patterns: list[str]) -> Iterator[str]:
    """Return the places of the cloud's own data that contain a secret."""
    for path in [*(ROOT / "var/log").rglob("*"), *(ROOT / "var/runs").rglob("*"), *(ROOT / "var/plans").rglob("*")]:
        if path.is_file() and any(pattern in path.read_text(errors="replace") for pattern in patterns):
            yield str(path)
    with sqlite3.connect(f"file:{ROOT / 'var/skywright.db'}?mode=ro", uri=True) as database:
        for table in TABLES:
            for row in database.execute(f"SELECT * FROM {table}"):
                if any(pattern in str(row) for pattern in patterns):
                    yield f"{table}: {row}"


def test_secrets_stay_with_the_server(made: Made, lab: Lab, blank: str, secrets: dict[str, str]) -> None:
    patterns = patterns_of(secrets)
    network = made.network()
    with Processes(lab, patterns) as processes:
        server = made.server(
            [network],
            image_id=blank,
            user_data=base64.b64encode(user_data(secrets)).decode(),
            admin_password=secrets["password"],
            metadata={"db": secrets["metadata"]},
            config_drive=True,
        )
        made.active(server)
    assert processes.looks > 10
    assert processes.found == []
    host = lab[made.cloud.compute.get_server(server.id).compute_host]
    drive = f"/var/lib/skywright/servers/{server.id}/disk.config"
    assert int(host.run(f"grep -a -c {CANARY} {drive}")) >= 1, "the server itself was to have them"
    assert replayed(server) == 0
    time.sleep(1)
    assert list(kept(patterns)) == []
    for machine in lab.hosts.values():
        count = machine.run(TRACES.format(patterns=" -e ".join(patterns)), timeout=120)
        assert count == "0", machine.name


def replayed(server: Any) -> int:
    """Return the exit code of a replay of the server's run, in check mode."""
    query = "SELECT run_id FROM job JOIN job_resource ON job_sequence = sequence WHERE resource_id = ?"
    with sqlite3.connect(f"file:{ROOT / 'var/skywright.db'}?mode=ro", uri=True) as database:
        (run_id,) = database.execute(query, [server.id]).fetchone()
    command = [ROOT / ".venv/bin/skywright", "replay", run_id, "--check"]
    result = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "changed=0" in result.stdout, result.stdout + result.stderr
    assert not (ROOT / "var/runs" / run_id / "replay").exists()
    return result.returncode

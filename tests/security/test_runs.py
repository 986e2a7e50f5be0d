"""Texts of users reach hosts unchanged: Ansible does not evaluate, execute or decrypt them."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skywright.jobs.engine.results import Results
from skywright.jobs.runs import runner
from skywright.jobs.runs.launcher_client import Launcher
from skywright.jobs.runs.rundir import RunDirectory

PROJECT = Path(__file__).parents[1] / "unit" / "jobs_project"
CANARY = "canary-3f1c77"

HOSTILE: dict[str, Any] = {
    "template": "{{ lookup('pipe', 'touch PWNED') }}",
    "statement": "{% set x = lookup('pipe', 'touch PWNED') %}{{ x }}",
    "comment": "{# #}{{ 1 + 1 }}",
    "key": {"{{ lookup('pipe', 'touch PWNED') }}": "value"},
    "unsafe key": {"__ansible_unsafe": "{{ lookup('pipe', 'touch PWNED') }}"},
    "nested unsafe key": {"__ansible_unsafe": {"__ansible_unsafe": "{{ lookup('pipe', 'touch PWNED') }}"}},
    "vault key": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n6133"},
    "vault": "$ANSIBLE_VAULT;1.1;AES256\n6133",
    "tag": "!unsafe '{{ 1 }}'",
    "tags": "!vault |\n  x",
    "end of a document": "...\n---\nskywright_items: {}\n",
    "multi-line": "{{ 1 }}\n  - {{ 2 }}\n\n\ttab: {{ 3 }}\n",
    "anchor": "&a *a <<: *b",
    "shell": "$(touch PWNED); `touch PWNED`",
    "option": "-rf",
    "quotes": "\"'><script>\\",
    "unicode": "ü" * 127 + "😀\u2028\u0085\ufeff",
    "control": "\x01\x1b[K\x7f",
    "numbers": ["1", "1e3", "0x10", "yes", "null", "~", "", " ", "2001-01-01"],
    "not strings": [1, 1.5, True, None, [], {}],
}


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher(runner.environment(PROJECT), PROJECT)
    launcher.start()
    yield launcher
    launcher.close()


def run(
    launcher: Launcher, state: Path, data: Any, *, sink: runner.Sink = lambda _events: None, **item: Any
) -> Results:
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "note": "{{ 1 + 1 }}"}
    items = {"here": {"files": [{"id": "x", "directory": str(state), "data": data, **item}]}}
    with RunDirectory(state / "runs", "run") as directory:
        inventory = runner.inventory([("here", ["computes"], variables)])
        return runner.Run(directory, PROJECT, "fake", launcher).execute(inventory, {"skywright_items": items}, sink)


def test_hostile_values_arrive_unchanged(launcher: Launcher, tmp_path: Path) -> None:
    pwned = tmp_path / "pwned"
    data = json.loads(json.dumps(HOSTILE).replace("PWNED", str(pwned)))
    results = run(launcher, tmp_path, data)
    assert results.outcome([("here", "x")]).error is None
    assert json.loads((tmp_path / "file-x").read_text()) == data
    assert not pwned.exists()


def test_secrets_are_in_no_command_line_environment_or_event(launcher: Launcher, tmp_path: Path) -> None:
    events: list[runner.RunEvent] = []
    seen: list[str] = []

    def look(stop: threading.Event) -> None:
        while not stop.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        text = (process / name).read_bytes()
                    except OSError:
                        continue
                    if CANARY.encode() in text and int(process.name) != os.getpid():
                        seen.append(f"{process.name} {name}")

    stop = threading.Event()
    watcher = threading.Thread(target=look, args=[stop])
    watcher.start()
    run(launcher, tmp_path, {"password": CANARY}, sink=events.extend, seconds=0.3)
    stop.set()
    watcher.join()
    assert seen == []
    assert events
    assert CANARY not in json.dumps([event for event in events if event["event"] != "runner_on_ok"])
    assert CANARY in (tmp_path / "file-x").read_text()


def test_run_directories_are_private_and_removed(launcher: Launcher, tmp_path: Path) -> None:
    found: set[str] = set()
    open_to_others: list[Path] = []

    def look(_events: list[runner.RunEvent]) -> None:
        directory = tmp_path / "runs" / "run"
        assert directory.stat().st_mode & 0o077 == 0
        files = [path for path in directory.rglob("*") if path.is_file()]
        found.update(path.name for path in files)
        open_to_others.extend(path for path in files if path.stat().st_mode & 0o077)

    run(launcher, tmp_path, CANARY, sink=look)
    assert found >= {"extravars", "hosts.yml"}
    assert open_to_others == []
    assert list((tmp_path / "runs").iterdir()) == []

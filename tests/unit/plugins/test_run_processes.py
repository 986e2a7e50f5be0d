"""Processes of runs are found by the mark in their environment, and ended however they are made."""

import os
import subprocess
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import processes
from ansible_collections.skywright.cloud.plugins.modules import run_processes

RUN, OTHER = str(uuid.uuid4()), str(uuid.uuid4())
# Each prints a line when all its parts run.
KINDS = {
    "a program": "echo; exec sleep 717",
    "a loop": "while :; do date; sleep 0.01; done",
    "one that ignores SIGTERM": "trap '' TERM; while :; do echo; sleep 0.01; done",
    "a daemon": "(setsid sh -c 'sleep 717 & sleep 717 & echo; exit') & wait; exec sleep 717",
    "one with another environment below": "env -i sh -c 'echo; exec sleep 717'; true",
}


@pytest.fixture(autouse=True)
def _mark(monkeypatch):
    """The mark of the run that the module itself is in."""
    monkeypatch.setenv(processes.MARK, str(uuid.uuid4()))


@contextmanager
def started(script, run=RUN):
    environment = {**os.environ, processes.MARK: run}
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process, run, name):
    """Wait until a process of that name, which stays, is the run's."""
    while name not in processes.find([run])[run].values():
        assert process.poll() is None


@pytest.mark.parametrize("script", KINDS.values(), ids=KINDS.keys())
def test_ends_whatever_a_run_started(run_module, script):
    with started(script) as process, started("exec sleep 717", OTHER) as bystander:
        assert process.stdout.readline()
        (result,) = run_module(run_processes.main, {"runs": [RUN]})["results"]
        assert (result["changed"], result["action"], result.get("error")) == (True, "delete", None)
        assert processes.find([RUN]) == {RUN: {}}
        assert bystander.poll() is None
        assert run_module(run_processes.main, {"runs": [RUN]})["changed"] is False


def test_check_mode_only_tells(run_module):
    with started("exec sleep 717") as process:
        wait_for(process, RUN, "sleep")
        answer = run_module(run_processes.main, {"runs": [RUN, OTHER]}, check=True)
        assert {run: result["changed"] for run, result in answer["by_id"].items()} == {RUN: True, OTHER: False}
        assert answer["by_id"][RUN]["diff"]["before"] == {"processes": ["sleep"]}
        assert process.poll() is None


def test_what_another_run_started_within_a_run_is_that_ones(run_module):
    with started(f"{processes.MARK}={OTHER} sleep 717; true") as process:
        wait_for(process, OTHER, "sleep")
        found = processes.find([RUN, OTHER])
        assert (sorted(found[RUN].values()), list(found[OTHER].values())) == (["sh"], ["sleep"])
        run_module(run_processes.main, {"runs": [OTHER]})


def test_shared_connections_of_ssh_are_spared():
    with started("""exec bash -c "exec -a 'ssh: /tmp/socket [mux]' cat" """) as process:
        while b"[mux]" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert process.poll() is None
        assert process.pid not in processes.find([RUN])[RUN]


def test_what_does_not_end_is_an_error(run_module, monkeypatch):
    monkeypatch.setattr(processes, "KILL_SECONDS", 0.3)
    monkeypatch.setattr(processes.os, "kill", lambda _pid, _number: None)
    with started("exec sleep 717") as process:
        wait_for(process, RUN, "sleep")
        answer = run_module(run_processes.main, {"runs": [RUN, OTHER]})
        monkeypatch.undo()
        assert answer["by_id"][RUN]["error"] == f"it does not end: process {process.pid} (sleep)"
        assert "error" not in answer["by_id"][OTHER]


def test_a_child_that_was_not_listed_is_ended_too(monkeypatch):
    """The parent ended while the processes were read, just after it had started a child."""
    ended = []
    scans = iter([{1: "parent"}, {}, {2: "child"}, {}, {}])
    monkeypatch.setattr(processes, "find", lambda runs: {run: next(scans) for run in runs})
    monkeypatch.setattr(processes.os, "kill", lambda pid, _number: ended.append(pid))
    assert processes.end([RUN]) == {}
    assert ended == [1, 2]


def test_a_host_that_takes_no_mark_says_so(run_module, monkeypatch):
    monkeypatch.delenv(processes.MARK)
    assert "AcceptEnv" in run_module(run_processes.main, {"runs": [RUN]})["by_id"][RUN]["error"]

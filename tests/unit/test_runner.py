"""The results of a run, from events, exit code and unreachable hosts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_runner import RunnerConfig

from recorded_hosts import answer
from skywright.jobs.engine.results import Results
from skywright.jobs.runs.runner import LauncherRunner, inventory
from skywright.jobs.runs.variables import dump, reserved_key


def event(kind: str, host: str = "h1", action: str = "skywright.cloud.server_disk", **data: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": {"host": host, "task": "Converge", "task_action": action, **data}}


def failed(host: str = "h1", *, ignored: bool = False, **result: Any) -> dict[str, Any]:
    return event("runner_on_failed", host, res=result, ignore_errors=ignored)


def results(*events: dict[str, Any], rc: int | None = 0, disk_full: bool = False) -> Results:
    found = Results()
    found.disk_full = disk_full
    for one in events:
        found.add(one)
    found.rc = rc
    return found


OK = event("runner_on_ok", res={"results": [{"id": "a", "changed": True}, {"id": "b", "changed": False}]})
COMMAND_FAILED = failed(msg="non-zero return code", rc=1, stderr="The disk is full\nTry again.\n")
STATS = {"event": "playbook_on_stats", "event_data": {}}


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (results(OK, STATS), None),
        (results(OK), None),
        (results(OK, STATS, rc=2), None),
        (results(STATS), "h1 returned no result for a"),
        (results(OK, failed(msg="boom"), STATS, rc=2), "h1: Converge: boom"),
        (results(COMMAND_FAILED, STATS, rc=2), "h1: Converge: non-zero return code: The disk is full\nTry again."),
        (results(OK, failed(ignored=True, msg="boom"), STATS), None),
        (results(failed(ignored=True, results=[{"id": "a", "error": "full"}]), STATS), "h1: full"),
        (results(OK, failed(results=[{"id": "b", "error": "full"}]), STATS, rc=2), None),
        (results(event("runner_on_unreachable", res={"msg": "no route"}), STATS, rc=4), "h1 is unreachable: no route"),
        (results({"event": "error", "stdout": "no such playbook"}, rc=4), "Ansible ended with 4: no such playbook"),
        (results(OK, rc=1), "Ansible ended with 1: no output"),
        (results(OK, rc=None), "The run was killed"),
        (results(OK, rc=-9), "The run was killed"),
        (results(OK, rc=250, disk_full=True), "The worker's disk was full"),
        (results(OK, disk_full=True), None),
        (results(OK, STATS, rc=2, disk_full=True), None),
    ],
)
def test_the_result_of_an_item(found: Results, error: str | None) -> None:
    outcome = found.outcome({("h1", "a")})
    assert (outcome.ok, outcome.error) == (error is None, error)


def test_a_failed_task_without_items_fails_all_items() -> None:
    last = event("runner_on_failed", action="ansible.builtin.fail", res={"msg": {"a": "no image"}})
    found = results(OK, last, STATS, rc=2)
    assert found.outcome({("h1", "a")}).error == "h1: no image"
    assert found.outcome({("h1", "b")}).ok


def test_a_job_on_two_hosts_fails_when_one_does() -> None:
    other = event("runner_on_ok", "h2", res={"results": [{"id": "a", "changed": False}]})
    assert results(OK, other, STATS).outcome({("h1", "a"), ("h2", "a")}).ok
    outcome = results(OK, STATS).outcome({("h1", "a"), ("h2", "a")})
    assert outcome.error == "h2 returned no result for a"
    assert [result["host"] for result in outcome.results] == ["h1"]


def stats(**counts: int) -> dict[str, Any]:
    return {"event": "playbook_on_stats", "event_data": {name: {"h1": count} for name, count in counts.items()}}


@pytest.mark.parametrize(
    ("found", "has_lost_events"),
    [
        (results(stats(ok=1)), True),
        (results(rc=0), True),
        (results(OK, stats(ok=2)), False),
        (results(failed(ignored=True, msg="odd"), stats(ok=1)), False),
        (results(failed(ignored=True, msg="odd"), stats(ok=2)), True),
        (results(failed(msg="odd"), stats(ok=3, failures=1), rc=2), False),
        (results(stats(ok=0)), False),
        (results(event("runner_on_unreachable", res={"msg": "no route"}), stats(ok=4, dark=1), rc=4), False),
        (results({"event": "error", "stdout": "no such playbook"}, rc=4), False),
        (results(rc=None), False),
    ],
)
def test_lost_events_are_no_failure(found: Results, has_lost_events: bool) -> None:
    assert found.has_lost_events({("h1", "a")}) == has_lost_events


def test_lost_events_are_read_from_the_artifacts(tmp_path: Path) -> None:
    found, sunk = Results(), list[dict[str, Any]]()
    lost = LauncherRunner(RunnerConfig(tmp_path), *[None] * 2, found, sunk.extend, timeout_seconds=1)  # type: ignore[arg-type]
    (tmp_path / "2-partial.json").write_text(json.dumps(STATS))
    (tmp_path / "1-partial.json").write_text(json.dumps(OK))
    os.utime(tmp_path / "1-partial.json", (1, 1))
    (tmp_path / "3-partial.json").write_text('{"event": "runner_on')
    lost._add_missing_events(tmp_path)
    lost._flush()
    assert [one["event"] for one in sunk] == ["runner_on_ok", "playbook_on_stats"]
    found.rc = 0
    assert found.outcome({("h1", "a")}).ok


def test_facts_of_a_host_are_a_result() -> None:
    facts = event("runner_on_ok", action="skywright.cloud.host_info", res={"host": answer()})
    (result,) = results(facts, STATS).outcome({("h1", "h1")}).results
    assert result == {"host": "h1", "module": "host_info", "id": "h1", "changed": False} | answer()


def test_results_of_a_loop_are_results() -> None:
    loop = event("runner_on_ok", res={"results": [{"results": [{"id": "a", "changed": True}]}]})
    assert results(loop, STATS).outcome({("h1", "a")}).ok


def test_a_document_keeps_its_types_and_is_completely_unsafe() -> None:
    hosts = {"h1": {"note": "{{ x }}", "port": 22, "answer": "yes", "number": "0x10"}}
    text = dump(inventory([("h1", ["computes"], hosts["h1"])]))
    assert text.startswith("--- !unsafe\n")
    groups = {"computes": {"hosts": {"h1": {}}}}
    assert yaml.safe_load(text.removeprefix("--- !unsafe")) == {"all": {"hosts": hosts, "children": groups}}


def test_reserved_keys_of_ansible_are_found_at_any_depth() -> None:
    assert reserved_key({"a": [{"b": {"__ansible_type": 1}}]}) == "__ansible_type"
    assert reserved_key({"a": ["__ansible_type", {"ansible_": "x"}]}) is None

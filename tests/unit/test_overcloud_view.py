"""The output of an overcloud's jobs, and the exit codes for programs."""

import io
from typing import Any

import pytest
from rich.console import Console

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api
from skywright.cli.overcloud import overcloud_view
from skywright.cli.overcloud.overcloud_board import Board
from skywright.cli.overcloud.overcloud_view import show_changes, status

CHECKS, STAGE = overcloud_view.PREFLIGHT[1], "Deploy the control plane"


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def start(play: str, task: str) -> dict[str, Any]:
    return {"kind": "playbook_on_task_start", "task": task, "play": play, "host": None}


def ok(host: str, task: str, *, changed: bool) -> dict[str, Any]:
    return {"kind": "runner_on_ok", "host": host, "task": task, "changed": changed}


def failed(host: str, task: str, message: str, **more: Any) -> dict[str, Any]:
    return {"kind": "runner_on_failed", "host": host, "task": task, "message": message, "ignored": False, **more}


def job(*events: dict[str, Any], error: str | None = None, **results: str) -> dict[str, Any]:
    return {"events": list(events), "error": error, "results": [{"id": k, "status": v} for k, v in results.items()]}


def test_nothing_would_change(console: Console) -> None:
    planned = job(start(CHECKS, "Judge"), start(STAGE, "Write"), ok("a", "Write", changed=False), a="done")
    assert show_changes(console, planned) == 0
    assert "Nothing would change" in text(console)


def test_changes_are_shown_by_stage_with_warnings(console: Console) -> None:
    planned = job(
        start(CHECKS, "Judge"),
        start(STAGE, "Write"),
        ok("b", "Write", changed=True),
        ok("a", "Write", changed=True),
        failed("a", "Try", "no", ignored=True),
        a="it has no /dev/kvm",
    )
    assert show_changes(console, planned) == 2
    assert f"{STAGE}\n  ~ Write (a, b)\n! a: it has no /dev/kvm" in text(console)


def test_unpredictable_stages_are_reported(console: Console) -> None:
    planned = job(start(STAGE, "Ask"), failed("a", "Ask", "nobody there [red]"), error="a: Ask: nobody there")
    assert show_changes(console, planned) == 2
    assert "a: later changes cannot be predicted: Ask: nobody there [red]" in text(console)


def test_pre_flight_problems_are_reported(console: Console) -> None:
    events = [start(CHECKS, "Judge"), failed("a", "Judge", "x", items=[{"id": "a", "error": "no disk"}])]
    assert show_changes(console, job(*events, error="a: Judge: no disk")) == 1
    assert show_changes(console, job(error="There is no such host")) == 1
    assert "The plan cannot be deployed: a: Judge: no disk" in text(console)


def test_stages_are_shown_with_their_outcomes(console: Console) -> None:
    with Board(console) as board:
        board.show("job", {"finished_at": None, "state": "queued", "waiting_for": "a free worker"})
        board.show("event", start("One", "First"))
        board.show("event", start("One", "Second"))
        board.show("event", start("Two", "Third"))
        board.show("event", failed("a", "Third", "x", items=[{"id": "a", "error": "no [disk]"}]))
        board.show("event", failed("b", "Third", "never mind", ignored=True))
        ended = {"finished_at": "now", "state": "failed", "waiting_for": None, "error": "a: Third", "id": "0a"}
        board.show("job", ended)
    lines = text(console).splitlines()
    assert [line.split(" 0.")[0] for line in lines] == [
        "... One", "✓ One", "... Two", "  a: Third: no [disk]", "✗ Two", "job 0a failed: a: Third",
    ]  # fmt: skip
    assert board.well is False


SAID = {
    "units": {"mariadb.service": {"state": "active", "detail": "running"}},
    "galera": {"error": "frozen"},
    "rabbitmq": {"running": ["a"], "known": ["a", "b"], "alarms": [], "partitions": []},
    "haproxy": {"servers": [{"status": "UP"}, {"status": "DOWN"}]},
    "api": {"ready": True, "detail": "200"},
    "virtual_address": True,
    "certificates": {"x": 300, "y": 20, "z": None},
}


def answers(monkeypatch: pytest.MonkeyPatch, **cloud: Any) -> None:
    whole = {"name": "ha", "state": "deployed", "observed_at": "2026-11-20T10:00:01", "problems": [], **cloud}
    ended = {"id": "0a", "state": "successful", "created_at": "2026-11-20T10:00:00", "error": "no such host"}
    monkeypatch.setattr(Api, "__init__", lambda _self: None)
    monkeypatch.setattr(
        Api, "request", lambda _self, method, _path: {"job": ended} if method == "POST" else {"overcloud": whole}
    )


def test_every_service_of_every_host_is_a_cell(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, report={"one": SAID, "two": None}, problems=["two: it does not answer"])
    assert status(console, "ha", json=False) == 2
    rows = {line.split("│")[1].strip(): line.split("│")[2:4] for line in text(console).splitlines() if "│" in line}
    assert {name: [cell.strip() for cell in cells] for name, cells in rows.items()} == {
        "host": ["answers", "silent"],
        "mariadb": ["active", ""],
        "database cluster": ["silent", ""],
        "broker cluster": ["1 of 2", ""],
        "balanced servers": ["1 of 2 up", ""],
        "API": ["ready", ""],
        "virtual address": ["here", ""],
        "certificates": ["20 days", ""],
    }
    assert "✗ two: it does not answer" in text(console)


def test_a_healthy_cloud_in_json(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, report={"one": SAID})
    assert status(console, "ha", json=True) == 0
    assert '"problems": []' in text(console)


def test_an_old_status_is_not_shown_as_a_new_one(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    for observed in (None, "2026-11-20T09:59:59"):
        answers(monkeypatch, report=None, observed_at=observed)
        with pytest.raises(StepFailed, match="no such host"):
            status(console, "ha", json=False)

"""Plans on a terminal: texts of users are printed literally."""

import io
from typing import Any

import pytest
from rich.console import Console

from skywright.cli.jobs.plan_view import show
from skywright.cli.jobs.planning_proxy import Outcome
from skywright.redact import without_secrets

ITEM = {"kind": "server", "id": "s1", "module": "libvirt_domain", "action": "update", "changed": True, "error": None}
JOB = {"playbook": "server", "action": "stop", "resources": [{"type": "server", "id": "s1"}]}
PLAN = {
    "request": {"status": 202, "body": None},
    "jobs": [JOB | {"error": None, "waiting_for": None}],
    "hosts": [{"host": "host1", "items": [ITEM]}],
    "changed": 1,
    "recorded": True,
    "complete": True,
}


def shown(color: bool = False, **more: Any) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=color, color_system="standard" if color else None, width=40)
    show(Outcome("POST", "compute", "/v2.1/servers", plan=PLAN | more), console)
    return text.getvalue()


def item(**values: Any) -> list[dict[str, Any]]:
    return [{"host": "host1", "items": [ITEM | values]}]


@pytest.mark.parametrize("name", ["[red]web[/red]", "[/]", "\x1b[2Jweb", "web\nhost9", "\u202egpj.exe", "\u00e9\u4e16"])
def test_texts_of_users_are_printed_literally(name: str) -> None:
    diff = {"before": {"name": "x"}, "after": {"name": name, "power": "running"}}
    text = shown(hosts=item(id=name, diff=diff, error=name))
    assert "\x1b" not in text and "\u202e" not in text
    assert not any(line.strip() == "host9" for line in text.splitlines())
    assert "+power: running" in text
    if name.startswith("["):
        assert name in text


def test_differences_are_coloured() -> None:
    diff = {"before": {"power": "running"}, "after": {"power": "shutoff"}}
    text = shown(color=True, hosts=item(diff=diff))
    assert "\x1b[31m-power: running" in text and "\x1b[32m+power: shutoff" in text


def test_the_reason_why_a_job_would_wait_is_shown() -> None:
    text = shown(jobs=[JOB | {"error": None, "waiting_for": "host host1 is in maintenance"}])
    assert "would wait: host host1 is in maintenance" in text


@pytest.mark.parametrize(
    ("more", "last"),
    [
        ({}, "1 change on 1 host. Nothing was changed."),
        ({"changed": 0, "hosts": []}, "The cloud's records would change, no host. Nothing was changed."),
        ({"changed": 0, "hosts": [], "recorded": False}, "Nothing would change."),
        ({"complete": False}, "This would fail. Nothing was changed."),
        ({"request": {"status": 409, "body": {"conflictingRequest": {"message": "It is busy."}}}}, "It is busy."),
        ({"request": {"status": 400, "body": {"NeutronError": {"message": "No.", "type": "X"}}}}, "No."),
    ],
)
def test_the_last_line_is_a_summary(more: dict[str, Any], last: str) -> None:
    assert shown(**more).splitlines()[-1] == last


def test_secrets_are_hidden_at_any_depth() -> None:
    answer = {"server": {"adminPass": "a", "name": "web", "list": [{"private_key": "b", "user_data": None}]}}
    hidden = {"server": {"adminPass": "***", "name": "web", "list": [{"private_key": "***", "user_data": None}]}}
    assert without_secrets(answer) == hidden

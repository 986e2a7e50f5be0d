"""Overclouds on a terminal: the state of their services, and what a deployment would change."""

import json as jsonlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api
from skywright.cli.overcloud.overcloud_board import TASK_START, failures
from skywright.db.jobs import UNFINISHED

LOOK_SECONDS = 120
PREFLIGHT = ("Examine the hosts", "Check all hosts")  # plays of playbooks/overcloud_preflight.yml
LABELS = {"galera": "database cluster", "rabbitmq": "broker cluster", "haproxy": "balanced servers", "api": "API"}
COLORS = {"deployed": "green", "failed": "red"}


def show_all(console: Console) -> None:
    """Print a table of the overclouds."""
    table = Table("Overcloud", "State", "Address", "Hosts", "Deployed", "Problems")
    for cloud in Api().request("GET", "/overclouds")["overclouds"]:
        plan, problems = cloud["plan"], cloud["problems"]
        color = COLORS.get(cloud["state"], "yellow")
        table.add_row(
            cloud["name"],
            f"[{color}]{cloud['state']}[/]",
            plan["virtual_address"].partition("/")[0],
            str(len(plan["hosts"])),
            (cloud["deployed_at"] or "never")[:16].replace("T", " "),
            "never looked" if problems is None else str(len(problems)),
        )
    console.print(table)


def status(console: Console, name: str, *, json: bool) -> int:
    """Check all services now, and show the result."""
    api = Api()
    path = f"/overclouds/{quote(name, safe='')}"
    job = api.request("POST", f"{path}/status")["job"]
    limit = time.monotonic() + LOOK_SECONDS
    while job["state"] in UNFINISHED:
        if time.monotonic() > limit:
            raise StepFailed("There is no report yet", f"Is a worker running? See `skywright jobs show {job['id']}`.")
        time.sleep(0.2)
        job = api.request("GET", f"/jobs/{job['id']}")["job"]
    cloud = api.request("GET", path)["overcloud"]
    if cloud["observed_at"] is None or cloud["observed_at"] < job["created_at"]:
        raise StepFailed(f"The services were not checked: {job['error']}", f"See `skywright jobs show {job['id']}`.")
    if json:
        shown = {key: cloud[key] for key in ("name", "state", "observed_at", "report", "problems")}
        console.print_json(jsonlib.dumps(shown))
    else:
        _show(console, cloud)
    return 2 if cloud["problems"] else 0


def _show(console: Console, cloud: dict[str, Any]) -> None:
    report: dict[str, Any] = cloud["report"]
    table = Table("Service", *report, title=f"{cloud['name']} ({cloud['state']}), {cloud['observed_at'][:19]}")
    rows: dict[str, dict[str, str]] = {}
    for host, facts in report.items():
        for service, text in _cells(facts):
            rows.setdefault(service, {})[host] = text
    for service, cells in rows.items():
        table.add_row(service, *(cells.get(host, "") for host in report))
    console.print(table)
    for problem in cloud["problems"]:
        console.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True, highlight=False)
    if not cloud["problems"]:
        console.print("[green]✓[/] all is well")


def _cells(facts: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield (service, state) of one host."""
    if facts is None:
        yield "host", "[red]silent[/]"
        return
    yield "host", "[green]answers[/]"
    for unit, now in _part(facts, "units").items():
        yield unit.partition(".")[0], _painted(now["state"], well=now["state"] == "active")
    parts = {"galera": _galera, "rabbitmq": _rabbitmq, "haproxy": _haproxy, "api": _api}
    for part, text in parts.items():
        if part in facts:
            yield (
                f"  {LABELS[part]}",
                "[red]silent[/]" if "error" in facts[part] else text(facts[part]),
            )
    if "virtual_address" in facts:
        yield "virtual address", "[green]here[/]" if facts["virtual_address"] is True else ""
    days = [day for day in _part(facts, "certificates").values() if day is not None]
    if days:
        yield "certificates", _painted(f"{min(days)} days", well=min(days) >= 14)


def _part(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = facts.get(name) or {}
    return {} if isinstance(part.get("error"), str) else part


def _galera(facts: dict[str, Any]) -> str:
    return _painted(
        f"{facts['state']} of {facts['size']}",
        well=facts["ready"] and facts["cluster"] == "Primary",
    )


def _rabbitmq(facts: dict[str, Any]) -> str:
    well = len(facts["running"]) == len(facts["known"]) and not facts["alarms"] and not facts["partitions"]
    return _painted(f"{len(facts['running'])} of {len(facts['known'])}", well=well)


def _haproxy(facts: dict[str, Any]) -> str:
    up = sum(row["status"].startswith(("UP", "no check")) for row in facts["servers"])
    return _painted(f"{up} of {len(facts['servers'])} up", well=up == len(facts["servers"]))


def _api(facts: dict[str, Any]) -> str:
    return _painted("ready" if facts["ready"] else facts["detail"], well=facts["ready"])


def _painted(text: str, *, well: bool) -> str:
    return f"[{'green' if well else 'red'}]{escape(text)}[/]"


def show_changes(console: Console, job: dict[str, Any]) -> int:
    """Show what a planned deployment would change, by stage and task; return the exit code."""
    stages = _stages(job["events"])
    stuck = [stage for stage, found in stages.items() if found["failures"]]
    if any(stage in PREFLIGHT for stage in stuck) or not stages:
        console.print(f"[red]The plan cannot be deployed:[/] {escape(str(job['error']))}", soft_wrap=True)
        return 1
    changes = 0
    for stage, found in stages.items():
        if not (found["tasks"] or found["failures"]):
            continue
        console.print(f"[bold]{escape(stage)}[/]")
        for task, hosts in found["tasks"].items():
            changes += 1
            text = f"  [yellow]~[/] {escape(task)} [dim]({escape(', '.join(sorted(set(hosts))))})[/]"
            console.print(text, soft_wrap=True, highlight=False)
        for host, text in found["failures"]:
            line = f"  [magenta]?[/] {escape(host)}: later changes cannot be predicted: {escape(text)}"
            console.print(line, soft_wrap=True, highlight=False)
    for item in job["results"]:
        if item.get("status") not in (None, "done"):
            console.print(f"[yellow]![/] {escape(item['id'])}: {escape(item['status'])}", soft_wrap=True)
    if not changes and not stuck:
        console.print("[green]Nothing would change.[/]")
    return 2 if changes or stuck else 0


def _stages(events: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return {stage: {tasks: {task: hosts that it would change}, failures: [(host, reason)]}}, in order."""
    stages: dict[str, dict[str, Any]] = {}
    stage: dict[str, Any] | None = None
    for event in events:
        if event["kind"] == TASK_START:
            stage = stages.setdefault(event.get("play") or "", {"tasks": {}, "failures": []})
        elif stage is None or not event.get("host"):
            continue
        elif event["kind"] == "runner_on_ok" and event.get("changed"):
            stage["tasks"].setdefault(event["task"], []).append(event["host"])
        elif event["kind"] in ("runner_on_failed", "runner_on_unreachable") and not event.get("ignored"):
            stage["failures"].append((event["host"], f"{event['task']}: {'; '.join(failures(event))}"))
    return stages

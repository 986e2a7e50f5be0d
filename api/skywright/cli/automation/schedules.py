"""`skywright schedules`: requests that are repeated at certain times."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.automation.playbooks import text_of, values
from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.show import Api, colored

SHOWN_RUNS = 20


def show_all(console: Console) -> None:
    """Print a table of the schedules."""
    table = Table("Schedule", "Name", "When", "What", "Next", "Last", "Result")
    for row in Api().request("GET", "/schedules")["schedules"]:
        last = row["last_run"] or {}
        table.add_row(
            row["id"][:8],
            escape(row["name"]),
            escape(f"{row['cron']} {row['timezone']}"),
            escape(_summary(row)),
            "[yellow]paused[/]" if row["paused"] else _time(row["next_run_at"]),
            _time(last.get("due_at")),
            _result(last),
        )
    console.print(table)


def show(console: Console, start: str) -> None:
    """Show a schedule and its last runs."""
    api = Api()
    row = _find(api, start)
    facts = Table.grid(padding=(0, 2))
    for key, value in row.items():
        if key != "last_run":
            text = json.dumps(value) if isinstance(value, dict) else str(value)
            facts.add_row(f"[dim]{key}[/]", escape(text))
    console.print(facts)
    table = Table("Due", "Result", "Jobs", "Request")
    for run in api.request("GET", f"/schedules/{row['id']}/runs", params={"limit": SHOWN_RUNS})["runs"]:
        jobs = " ".join(job[:8] for job in run["jobs"])
        table.add_row(_time(run["due_at"]), _result(run), jobs, run["request_id"] or "")
    console.print(table)


def request_parameters(request: Sequence[str], body: str | None) -> dict[str, Any]:
    """Return the request SERVICE METHOD PATH with a JSON body."""
    if len(request) != 3:
        raise StepFailed(
            "A request is SERVICE METHOD PATH", "Example: compute POST /v2.1/servers/ID/action --body JSON"
        )
    service, method, path = request
    parameters: dict[str, Any] = {"service": service, "method": method.upper(), "path": path}
    if body is not None:
        try:
            parameters["body"] = json.loads(text_of(body))
        except json.JSONDecodeError as error:
            raise StepFailed(f"The body is not JSON: {error}", "Example: --body '{\"os-stop\": null}'") from error
    return {"request": parameters}


def playbook_parameters(name: str, variables: Sequence[str] | None, hosts: list[str] | None) -> dict[str, Any]:
    """Return the parameters of an operator playbook."""
    given = values(Api(), name, variables or [], ask=False)
    return {"playbook": {"name": name, "variables": given, "hosts": hosts or []}}


def add(console: Console, wanted: dict[str, Any]) -> None:
    """Create a schedule."""
    row = Api().request("POST", "/schedules", json={"schedule": wanted})["schedule"]
    console.print(f"schedule {row['id']}, next at {_time(row['next_run_at']) or 'no time'}", highlight=False)


def change(console: Console, start: str, *, paused: bool) -> None:
    """Pause or resume a schedule."""
    api = Api()
    identifier = _find(api, start)["id"]
    row = api.request("PATCH", f"/schedules/{identifier}", json={"schedule": {"paused": paused}})["schedule"]
    console.print(_changed(row), highlight=False)


def remove(console: Console, start: str) -> None:
    """Remove a schedule."""
    api = Api()
    row = _find(api, start)
    api.request("DELETE", f"/schedules/{row['id']}")
    console.print(f"{escape(row['name'])} is removed", highlight=False)


def _changed(row: dict[str, Any]) -> str:
    when = "paused" if row["paused"] else f"next at {_time(row['next_run_at'])}"
    return f"{escape(row['name'])}: {when}"


def _find(api: Api, start: str) -> dict[str, Any]:
    found = [row for row in api.request("GET", "/schedules")["schedules"] if row["id"].startswith(start)]
    if len(found) != 1:
        raise StepFailed(f"{len(found)} schedules begin with {start}", "See `skywright schedules list`.")
    row: dict[str, Any] = found[0]
    return row


def _summary(row: dict[str, Any]) -> str:
    if "playbook" in row:
        return f"playbook {row['playbook']['name']}"
    request = row["request"]
    return f"{request['service']} {request['method']} {request['path']}"


def _result(run: dict[str, Any]) -> str:
    """Return the outcome of a run, with the result of a drift comparison."""
    if not run:
        return ""
    found = run["answer"].get("state") if isinstance(run["answer"], dict) else None
    return f"{colored(run['state'])} {escape(run['error'] or found or '')}".rstrip()


def _time(moment: str | None) -> str:
    return moment[:16].replace("T", " ") if moment else ""

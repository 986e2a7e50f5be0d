"""`skywright drift` and `skywright converge`: the differences between hosts and records, and their repair."""

import json as jsons
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from skywright.cli.jobs.plan_view import LINES, counted, difference, plain, print_line
from skywright.cli.jobs.show import Api
from skywright.db.jobs import UNFINISHED

CLEAN, INCOMPLETE, DRIFT = 0, 1, 2
CODES = {"clean": CLEAN, "incomplete": INCOMPLETE, "drift": DRIFT}
LOOK_SECONDS = 0.5
PAGE = 1000
SIGNS = {"drifted": ("yellow", "~"), "lost": ("bold red", "✗"), "unknown": ("red", "?")}


def drift(scope: dict[str, str | None], console: Console, *, diff: bool, json: bool) -> int:
    """Show the drift; return the exit code."""
    report = Api().request("POST", "/drift", json=_given(scope))
    if json:
        print(jsons.dumps(report))
        return CODES[report["state"]]
    show(report, console, diff=diff)
    repairable = any(one["state"] == "drifted" for one in report["resources"]) or report["leftovers"]
    if repairable:
        print_line(console, "`skywright converge` repairs it.")
    return CODES[report["state"]]


def converge(scope: dict[str, str | None], options: dict[str, bool], console: Console, *, json: bool) -> int:
    """Repair drift, and follow the jobs; return 0 if no drift is left."""
    api = Api()
    answer = api.request("POST", "/converge", json=_given(scope) | options)
    report, submitted = answer["drift"], answer["jobs"]
    jobs = list(_ended(api, submitted, console if not json else Console(stderr=True)))
    repaired = all(job["state"] == "successful" for job in jobs)
    recreate = options["recreate_disks"]
    left = [
        one
        for one in report["resources"]
        if one["state"] == "unknown" or (one["state"] == "lost" and not (recreate and one["type"] == "server"))
    ]
    kept = report["leftovers"] if not options["leftovers"] else []
    well = repaired and not left and not kept and not report["not_checked"]
    if json:
        print(jsons.dumps({"repaired": well, "jobs": jobs, "drift": report}))
        return 0 if well else 1
    show(report, console, diff=False)
    for job in jobs:
        _print_job(console, job)
    done = sum(job["state"] == "successful" for job in jobs)
    what = f"{done} of {counted(len(jobs), 'repair')} done." if jobs else "Nothing to repair."
    print_line(console, f"[green]{what}[/]" if well else f"[red]{what} There is still drift.[/]")
    return 0 if well else 1


def show(report: dict[str, Any], console: Console, *, diff: bool) -> None:
    """Print the report, one resource after another."""
    for resource in report["resources"]:
        color, sign = SIGNS[resource["state"]]
        print_line(console, f"[{color}]{sign} {_name(resource)}[/]")
        for one in resource["differences"]:
            lost = "[bold red]NOT REPAIRABLE[/] " if one["state"] == "lost" else ""
            print_line(console, f"    {_host(one)}{lost}{plain(one['text'])}")
            for line in difference(one.get("diff") or {}) if diff else ():
                print_line(console, f"        [{LINES.get(line[:1], 'dim')}]{plain(line)}[/]")
    for one in report["leftovers"]:
        data = " [bold](with data)[/]" if one["data"] else ""
        print_line(console, f"[magenta]- leftover {plain(one['type'])} {plain(one['id'])}[/]{data}")
        print_line(console, f"    {_host(one)}{plain(one['text'])}")
    for one in report["left_out"]:
        print_line(console, f"[dim]left out: {_name(one)}: {plain(one['reason'])}[/]")
    for one in report["not_checked"]:
        print_line(console, f"[red]not checked:[/] {_host(one)}{plain(one['reason'])}")
    print_line(console, _summary(report))


def _summary(report: dict[str, Any]) -> str:
    checked = ", ".join(counted(number, kind.removesuffix("s")) for kind, number in report["checked"].items())
    match report["state"]:
        case "clean":
            return f"[green]No drift.[/] Checked: {checked}."
        case "incomplete":
            return f"[yellow]No drift was found, but not everything could be checked.[/] Checked: {checked}."
    lost = sum(one["state"] == "lost" for one in report["resources"])
    parts = [counted(len(report["resources"]), "resource") + " with differences"]
    parts += [counted(len(report["leftovers"]), "leftover")] if report["leftovers"] else []
    parts += [f"[bold red]{lost} not repairable[/]"] if lost else []
    return f"[bold]{', '.join(parts)}.[/] Checked: {checked}."


def _ended(api: Api, submitted: list[dict[str, Any]], console: Console) -> Iterator[dict[str, Any]]:
    """Return the jobs after all have ended; show their progress until then."""
    columns = (TextColumn("repairing"), BarColumn(), TextColumn("{task.completed}/{task.total} {task.fields[why]}"))
    wanted = {job["id"] for job in submitted}
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=len(wanted), why="")
        while True:
            jobs = _jobs(api, wanted)
            running = [job for job in jobs if job["state"] in UNFINISHED]
            why = next((job["waiting_for"] for job in running if job["waiting_for"]), None)
            done = len(jobs) - len(running)
            progress.update(task, completed=done, why=plain(f"waits: {why}") if why else "")
            if not running:
                yield from jobs
                return
            time.sleep(LOOK_SECONDS)


def _jobs(api: Api, wanted: set[str]) -> list[dict[str, Any]]:
    """Return the jobs in the order of their submission."""
    found: dict[str, dict[str, Any]] = {}
    marker: str | None = None
    while found.keys() < wanted:
        parameters = {"limit": PAGE} | ({"marker": marker} if marker else {})
        page = api.request("GET", "/jobs", params=parameters)["jobs"]
        found |= {job["id"]: job for job in page if job["id"] in wanted}
        if len(page) < PAGE:
            break
        marker = page[-1]["id"]
    return list(reversed(found.values()))


def _print_job(console: Console, job: dict[str, Any]) -> None:
    well = job["state"] == "successful"
    what = ", ".join(f"{row['type']} {row['id']}" for row in job["resources"])
    verb = {"converge": "repaired", "tidy": "removed", "delete": "removed"}.get(job["action"], job["action"])
    if well:
        print_line(console, f"[green]✓[/] {verb} {plain(what)}")
    else:
        print_line(console, f"[red]✗ {plain(what)}: {plain(job['error'] or job['state'])}[/] (job {plain(job['id'])})")


def _name(one: dict[str, Any]) -> str:
    return plain(f"{one['type']} {one['name'] or ''} {one['id']}".replace("  ", " "))


def _host(one: dict[str, Any]) -> str:
    return f"{plain(one['host'])}: " if one.get("host") else ""


def _given(scope: dict[str, str | None]) -> dict[str, Any]:
    return {key: value for key, value in scope.items() if value is not None}

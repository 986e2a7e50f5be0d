"""Plans on a terminal: by host and item, with coloured differences."""

import difflib
from collections.abc import Iterator
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from skywright.cli.jobs.planning_proxy import Outcome

SIGNS = {"create": ("green", "+"), "update": ("yellow", "~"), "delete": ("red", "-"), None: ("dim", "=")}
LINES = {"+": "green", "-": "red", "@": "cyan"}
CONTEXT = 2


def show(outcome: Outcome, console: Console) -> None:
    """Print the plan."""
    plan = outcome.plan or {}
    request = plan["request"]
    color = "red" if request["status"] >= 400 else "green"
    what = f"{outcome.method} {outcome.service} {outcome.path}"
    print_line(console, f"[bold]{plain(what)}[/] [{color}]{request['status']}[/]")
    if request["status"] >= 400:
        print_line(console, f"[red]{plain(_message(request['body']))}[/]")
        return
    for job in plan["jobs"]:
        resources = ", ".join(f"{row['type']} {row['id']}" for row in job["resources"])
        print_line(console, f"job [bold]{plain(job['playbook'])} {plain(job['action'])}[/] of {plain(resources)}")
        if job["waiting_for"]:
            print_line(console, f"  [yellow]would wait: {plain(job['waiting_for'])}[/]")
        if job["error"]:
            print_line(console, f"  [red]✗ {plain(job['error'])}[/]")
    for host in plan["hosts"]:
        print_line(console, f"[bold]{plain(host['host'] or 'a host')}[/]")
        for item in host["items"]:
            for line in _item(item):
                print_line(console, f"  {line}")
    print_line(console, _summary(plan))


def _item(item: dict[str, Any]) -> Iterator[str]:
    color, sign = SIGNS.get(item["action"], SIGNS["update"])
    what = f"{item['kind']} {item['id']}"
    module = f"[dim]{plain(item['module'] or '')}[/]"
    yield f"[{color}]{sign} {plain(what)}[/] {module}"
    if item["error"]:
        yield f"    [red]✗ {plain(item['error'])}[/]"
    for line in difference(item.get("diff") or {}):
        style = LINES.get(line[:1], "dim")
        yield f"    [{style}]{plain(line)}[/]"


def difference(diff: dict[str, Any]) -> list[str]:
    before, after = (_lines(diff.get(side)) for side in ("before", "after"))
    return [
        line for line in difflib.unified_diff(before, after, n=CONTEXT, lineterm="") if line[:3] not in ("---", "+++")
    ]


def _lines(value: Any) -> list[str]:
    return yaml.safe_dump(value, width=1 << 20).splitlines() if value else []


def _summary(plan: dict[str, Any]) -> str:
    hosts = sum(any(item["changed"] for item in host["items"]) for host in plan["hosts"])
    changed = plan["changed"]
    if not plan["complete"]:
        return "[red]This would fail.[/] Nothing was changed."
    if changed:
        return f"[bold]{counted(changed, 'change')} on {counted(hosts, 'host')}.[/] Nothing was changed."
    if plan["recorded"]:
        return "[bold]The cloud's records would change, no host.[/] Nothing was changed."
    return "[green]Nothing would change.[/]"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _message(body: Any) -> str:
    """Return the message of a service's error in any format."""
    if isinstance(body, dict):
        if isinstance(body.get("message"), str):
            return str(body["message"])
        return next((text for value in body.values() if (text := _message(value))), "")
    return ""


def plain(text: Any) -> str:
    """Return *text* without control characters of terminals and markup of rich."""
    return escape(
        "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(text))
    )


def print_line(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)

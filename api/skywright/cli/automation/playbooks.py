"""`skywright playbooks`: operator playbooks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.cloud.steps import StepFailed
from skywright.cli.jobs.follow import follow
from skywright.cli.jobs.show import Api

TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def show(console: Console) -> None:
    """Print a table of the playbooks and of their variables."""
    table = Table("Playbook", "Variable", "Is", "Default", "For")
    for playbook in Api().request("GET", "/playbooks")["playbooks"]:
        about = playbook["error"] or playbook["short_description"]
        table.add_row(f"[bold]{playbook['name']}[/]", "", "", "", escape(about))
        for name, option in playbook["options"].items():
            default = "[dim]required[/]" if option["required"] else escape(str(option.get("default", "")))
            table.add_row("", name, _kind(option), default, escape(_text(option["description"])))
    console.print(table)


def run(console: Console, name: str, variables: Sequence[str], hosts: list[str], *, wait: bool) -> bool:
    """Queue the playbook, and follow it; return whether it was successful, if that is known."""
    api = Api()
    body = {"variables": values(api, name, variables, ask=console.is_terminal), "hosts": hosts}
    job = api.request("POST", f"/playbooks/{quote(name, safe='')}/run", json=body)["job"]
    console.print(f"job {job['id']}", highlight=False)
    return follow(console, job["id"], None, None) if wait else True


def values(api: Api, name: str, given: Sequence[str], *, ask: bool) -> dict[str, Any]:
    """Return the variables NAME=VALUE, converted to the types in the survey."""
    options = api.request("GET", f"/playbooks/{quote(name, safe='')}")["playbook"]["options"]
    found = {}
    for text in given:
        variable, equals, value = text.partition("=")
        if not equals or variable not in options:
            raise StepFailed(f"{text.partition('=')[0]} is not a variable of {name}", "See `skywright playbooks list`.")
        found[variable] = _converted(variable, options[variable]["type"], text_of(value))
    for variable, option in options.items():
        if ask and option["no_log"] and option["required"] and variable not in found:
            found[variable] = typer.prompt(variable, hide_input=True)
    return found


def text_of(value: str) -> str:
    """Return *value*, or the text of the file after an @."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeError) as error:
        raise StepFailed(f"{value[1:]} cannot be read: {error}", "Name a text file after the @.") from error


def _converted(name: str, kind: str, text: str) -> Any:
    try:
        return int(text) if kind == "int" else TRUTH[text.lower()] if kind == "bool" else text
    except (ValueError, KeyError) as error:
        wanted = "a whole number" if kind == "int" else "true or false"
        raise StepFailed(f"{name} must be {wanted}", "See `skywright playbooks list`.") from error


def _kind(option: dict[str, Any]) -> str:
    if option.get("choices"):
        return escape(", ".join(map(str, option["choices"])))
    limits = [f"{word} {option[key]}" for key, word in (("min", "from"), ("max", "to")) if key in option]
    return " ".join(["secret" if option["no_log"] else option["type"], *limits])


def _text(description: str | list[str]) -> str:
    return description if isinstance(description, str) else " ".join(description)

"""Writes docs/clients.md from the tables of commands: `PYTHONPATH=tests python -m contract.clients.document`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from contract.clients import table
from contract.clients.commands import GROUPS, commands

DOCUMENT = Path(__file__).parents[3] / "docs" / "clients.md"
TABLES = Path(__file__).parent / "commands"
TITLES = {
    "identity": "Identity",
    "compute": "Compute",
    "image": "Images",
    "network": "Networks",
    "common": "Several services",
}
HEAD = """# What the openstack client can do

Every command of python-openstackclient {client} for the services that this cloud offers, as an administrator. Commands
that *work* do what their help says; those that are *not* there *yet* are refused, with the reason that is given here.
Commands of block storage, shares, objects and accelerators find no service in the catalog.

This page is made from the tables in `tests/contract/clients/commands`, each line of which is run against the API by
`tests/contract/test_every_command.py`. The tables in `call_tables` beside them hold the same for every call of
openstacksdk {sdk}.
"""


@dataclass
class Command:
    """The summary of the lines of one command."""

    reason: str | None = None  # why it is refused; None: it is not
    works: bool = False
    empty: bool = False  # the list is always empty
    options: set[str] = field(default_factory=set)  # options that work
    refused: set[str] = field(default_factory=set)

    def add(self, line: table.Line) -> None:
        options = set(re.findall(r"(?<=\s)--[a-z0-9-]+", line.text))
        if line.refusals:
            self.reason, self.refused = line.reason, self.refused | options
        else:
            self.works, self.options = True, self.options | options
            self.empty |= line.reason is not None


def render() -> str:
    """Return the document."""
    known = set().union(*map(commands, GROUPS))
    found: dict[str, Command] = {}
    for service in GROUPS:
        for line in table.read(TABLES / f"{service}.txt"):
            words = line.text.split()
            name = next(name for end in range(len(words), 0, -1) if (name := " ".join(words[:end])) in known)
            found.setdefault(name, Command()).add(line)
    versions = {"client": metadata.version("python-openstackclient"), "sdk": metadata.version("openstacksdk")}
    return HEAD.format(**versions) + "".join(_section(service, found) for service in GROUPS)


def _section(service: str, found: Mapping[str, Command]) -> str:
    rows = ["", f"## {TITLES[service]}", "", "| `openstack ...` | work | not yet |", "|---|---|---|"]
    subjects: dict[str, dict[str, Command]] = {}
    for name in sorted(commands(service)):
        subject, verb = _split(name)
        subjects.setdefault(subject, {})[verb] = found[name]
    for subject, verbs in sorted(subjects.items()):
        rows.append(f"| `{subject}` | {_works(verbs)} | {_refused(verbs)} |")
    return "\n".join(rows) + "\n"


def _split(name: str) -> tuple[str, str]:
    """Split `server add port` into `server` and `add port`, `network agent list` into `network agent` and `list`."""
    words = name.split()
    verbs = _verbs()
    position = next((index for index, word in enumerate(words) if index and word in verbs), len(words) - 1)
    return " ".join(words[:position]), " ".join(words[position:])


@cache
def _verbs() -> set[str]:
    pairs = (name.split() for service in GROUPS for name in commands(service))
    return {"add", "cache", "contains", "force", "onboard", "remove", *(pair[1] for pair in pairs if len(pair) == 2)}


def _works(verbs: Mapping[str, Command]) -> str:
    said = []
    for verb, command in verbs.items():
        if command.works:
            lacking = sorted(command.refused - command.options)
            note = " (empty)" if command.empty else f" (without `{'`, `'.join(lacking)}`)" if lacking else ""
            said.append(verb + note)
    return ", ".join(said)


def _refused(verbs: Mapping[str, Command]) -> str:
    reasons: dict[str, list[str]] = {}
    for verb, command in verbs.items():
        if not command.works:
            reasons.setdefault(command.reason or "", []).append(verb)
    return "<br>".join(f"{', '.join(refused)}: {reason}" for reason, refused in reasons.items())


if __name__ == "__main__":
    DOCUMENT.write_text(render())

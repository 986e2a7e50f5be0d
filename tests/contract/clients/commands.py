"""The commands of the installed openstackclient, all run in one process like its interactive mode."""

import argparse
import io
import json
import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from string import Template
from typing import Any

from cliff.display import DisplayCommandBase

from contract.clients.table import Line
from contract.openstack_shell import alone

GROUPS = {
    "identity": ("openstack.identity.v3",),
    "compute": ("openstack.compute.v2",),
    "image": ("openstack.image.v2",),
    "network": ("openstack.network.v2",),
    "common": ("openstack.common", "openstack.cli"),
}


@cache
def commands(service: str) -> set[str]:
    """Return the client's commands of *service*, including those of its extensions."""
    return {
        point.name.replace("_", " ")
        for point in distribution("python-openstackclient").entry_points
        for group in GROUPS[service]
        if point.group == group or (point.group.startswith(f"{group}.") and group.startswith("openstack.network"))
    }


@dataclass(frozen=True)
class Result:
    code: int
    output: str
    complaint: str


class Terminal(io.StringIO):
    """A terminal without input."""

    def isatty(self) -> bool:
        return True


class Client:
    """The openstack command."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def command(self, words: list[str]) -> tuple[str, Any]:
        """Return the command's name and an instance of it."""
        factory, name, _ = self._shell.command_manager.find_command(list(words))
        return name, factory(self._shell, self._shell.options, cmd_name=name)

    def words(self, line: Line, names: Mapping[str, str]) -> list[str]:
        """Return the command line of *line*, with JSON output if the command supports it."""
        words = shlex.split(Template(line.text).safe_substitute(names))
        name, command = self.command(words)
        if line.made_up and words == name.split():
            words += _arguments(command.get_parser(name))
        return [*words, "-f", "json"] if isinstance(command, DisplayCommandBase) else words

    def run(self, words: list[str]) -> Result:
        output, complaint = io.StringIO(), io.StringIO()
        self._shell.stdout, sys.stdin = output, Terminal()
        handler = logging.StreamHandler(complaint)
        logging.getLogger().addHandler(handler)
        try:
            with redirect_stdout(output), redirect_stderr(complaint):
                code = self._shell.run_subcommand(words)
        except SystemExit as error:  # invalid arguments
            code = 2 if error.code else 0
        finally:
            logging.getLogger().removeHandler(handler)
        return Result(code, output.getvalue(), complaint.getvalue())


@contextmanager
def client(environment: Mapping[str, str]) -> Iterator[Client]:
    """A client that has read *environment*."""
    with alone(environment):
        from openstackclient.shell import OpenStackShell  # noqa: PLC0415 - it warns when it is imported

        class Shell(OpenStackShell):
            def interact(self) -> None:
                """Do nothing: the test runs the commands."""

        shell = Shell()
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            shell.run([])
        logging.getLogger().setLevel(logging.WARNING)
        yield Client(shell)


def parsed(output: str) -> Any:
    """Return the JSON in *output*, or its text."""
    try:
        return json.loads(output)
    except ValueError:
        return output


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    """Return made-up values for the required arguments of *parser*."""
    positional, options = [], []
    alternatives = [group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required]
    for action in parser._actions:
        if action.option_strings:
            if action.required or action in alternatives:
                options += [action.option_strings[0], *_values(action)]
        elif action.nargs not in ("?", "*"):
            positional += _values(action)
    return [*positional, *options]


def _values(action: argparse.Action) -> list[str]:
    value = str(next(iter(action.choices))) if action.choices else "1" if action.type is int else "x"
    return [value] * (action.nargs if isinstance(action.nargs, int) else 1)

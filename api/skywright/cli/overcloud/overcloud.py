"""The commands `skywright overcloud ...` and their options."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs: starting must stay quick

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="Highly available clouds, made and looked after by this one.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The overcloud's name.")]
PlanFile = Annotated[Path, typer.Argument(help="The plan, in YAML; see docs/overcloud.md.")]
Fingerprints = Annotated[
    list[str] | None, typer.Option("--fingerprint", help="HOST=SHA256:..., the key that it must show; may be repeated.")
]
AcceptHostKeys = Annotated[
    bool, typer.Option("--accept-host-keys", help="Take whatever keys new hosts show, unless others are recorded.")
]


@app.command("list")
def list_overclouds() -> None:
    """List the overclouds."""
    from skywright.cli.overcloud.overcloud_view import show_all

    show_all(Console())


@app.command("plan")
def plan(plan: PlanFile, fingerprint: Fingerprints = None, *, accept_host_keys: AcceptHostKeys = False) -> None:
    """Look for everything that would hinder a deployment, and at what it would change; change nothing.

    The exit code is 0 if nothing would change, 2 if something would, 1 if it would not work.
    """
    from skywright.cli.overcloud.overclouds import Enrolment, load
    from skywright.cli.overcloud.overclouds import plan as run

    console = Console()
    raise typer.Exit(run(console, load(plan), Enrolment(_ask(console, accept_host_keys), fingerprint or [])))


@app.command("deploy")
def deploy(plan: PlanFile, fingerprint: Fingerprints = None, *, accept_host_keys: AcceptHostKeys = False) -> None:
    """Make the plan's hosts a cloud, or a deployed one what its plan says now. The exit code tells how it ended."""
    from skywright.cli.overcloud.overclouds import Enrolment, load
    from skywright.cli.overcloud.overclouds import deploy as run

    console = Console()
    raise typer.Exit(run(console, load(plan), Enrolment(_ask(console, accept_host_keys), fingerprint or [])))


@app.command("status")
def status(name: Name, *, json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show each service on each host. The exit code is 0 if all is well, 2 if something is not, 1 if nobody knows."""
    from skywright.cli.overcloud.overcloud_view import status as run

    raise typer.Exit(run(Console(), name, json=json))


@app.command("scale")
def scale(
    name: Name,
    add: Annotated[
        list[str] | None,
        typer.Option(help="NAME=ADDRESS[,DATA_ADDRESS], as compute3=10.0.0.23,172.20.1.23/24; may be repeated."),
    ] = None,
    role: Annotated[
        str, typer.Option(help="What the added hosts are: computes, networks or controllers.")
    ] = "computes",
    plan: Annotated[Path | None, typer.Option(help="The whole plan as it shall be now, in place of that.")] = None,
    fingerprint: Fingerprints = None,
    *,
    accept_host_keys: AcceptHostKeys = False,
) -> None:
    """Add hosts, or replace a dead host by an empty one of its name (which has another address), and deploy."""
    from skywright.cli.overcloud.overclouds import Enrolment, scaled
    from skywright.cli.overcloud.overclouds import deploy as run

    console = Console()
    wanted = scaled(name, add or [], role, plan)
    raise typer.Exit(run(console, wanted, Enrolment(_ask(console, accept_host_keys), fingerprint or [])))


@app.command("recover")
def recover(
    name: Name,
    without: Annotated[
        list[str] | None,
        typer.Option(help="A controller that stays away: what only its database has is lost. May be repeated."),
    ] = None,
) -> None:
    """Bring everything back after all hosts were off."""
    from skywright.cli.overcloud.overclouds import recover as run

    raise typer.Exit(run(Console(), name, without or []))


@app.command("maintenance")
def maintenance(
    name: Name,
    host: Annotated[str, typer.Argument(help="The controller.")],
    *,
    end: Annotated[bool, typer.Option("--end", help="Use it again.")] = False,
) -> None:
    """Take a controller out of use before somebody works on it: requests that it serves end first."""
    from skywright.cli.overcloud.overclouds import maintain

    raise typer.Exit(maintain(Console(), name, host, end=end))


@app.command("delete")
def delete(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: all servers and data of the cloud are lost.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Only forget it; nothing on its hosts changes.")] = False,
) -> None:
    """Take a cloud off its hosts, with all servers and all data that are in it."""
    from skywright.cli.overcloud.overclouds import delete as run

    text = f"Remove {name} with all of its servers and data?" if not forget else f"Forget {name}?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(text)):
        Console(stderr=True).print("Nothing was removed: say --yes.")
        raise typer.Exit(1)
    raise typer.Exit(run(Console(), name, forget=forget))


def _ask(console: Console, accept: bool) -> Callable[[str], bool]:
    def ask(text: str) -> bool:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return accept or (sys.stdin.isatty() and typer.confirm("Is that right?"))

    return ask

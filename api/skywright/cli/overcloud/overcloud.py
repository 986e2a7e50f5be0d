"""The commands `skywright overcloud ...` and their options."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs, so that the start is fast

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="Highly available clouds that this cloud deploys and operates.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The overcloud's name.")]
PlanFile = Annotated[Path, typer.Argument(help="The plan, in YAML; see docs/overcloud.md.")]
Fingerprints = Annotated[
    list[str] | None,
    typer.Option("--fingerprint", help="HOST=SHA256:..., the fingerprint of its host key; may be repeated."),
]
AcceptHostKeys = Annotated[
    bool, typer.Option("--accept-host-keys", help="Accept the host keys of new hosts, unless others are recorded.")
]


@app.command("list")
def list_overclouds() -> None:
    """List the overclouds."""
    from skywright.cli.overcloud.overcloud_view import show_all

    show_all(Console())


@app.command("plan")
def plan(plan: PlanFile, fingerprint: Fingerprints = None, *, accept_host_keys: AcceptHostKeys = False) -> None:
    """Check what would prevent a deployment, and what it would change, without changing anything.

    The exit code is 0 if nothing would change, 2 if something would, 1 if the deployment would fail.
    """
    from skywright.cli.overcloud.overclouds import Enrolment, load
    from skywright.cli.overcloud.overclouds import plan as run

    console = Console()
    raise typer.Exit(run(console, load(plan), Enrolment(_confirm(console, accept_host_keys), fingerprint or [])))


@app.command("deploy")
def deploy(plan: PlanFile, fingerprint: Fingerprints = None, *, accept_host_keys: AcceptHostKeys = False) -> None:
    """Deploy the plan, or apply its changes to a deployed overcloud. The exit code is the outcome."""
    from skywright.cli.overcloud.overclouds import Enrolment, load
    from skywright.cli.overcloud.overclouds import deploy as run

    console = Console()
    raise typer.Exit(run(console, load(plan), Enrolment(_confirm(console, accept_host_keys), fingerprint or [])))


@app.command("status")
def status(name: Name, *, json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show the services on each host. The exit code is 0 if all are well, 2 if there are problems, 1 if the check
    failed.
    """
    from skywright.cli.overcloud.overcloud_view import status as run

    raise typer.Exit(run(Console(), name, json=json))


@app.command("scale")
def scale(
    name: Name,
    add: Annotated[
        list[str] | None,
        typer.Option(help="NAME=ADDRESS[,DATA_ADDRESS], such as compute3=10.0.0.23,172.20.1.23/24; may be repeated."),
    ] = None,
    role: Annotated[
        str, typer.Option(help="The role of the added hosts: computes, networks or controllers.")
    ] = "computes",
    plan: Annotated[Path | None, typer.Option(help="The complete new plan, instead of --add.")] = None,
    fingerprint: Fingerprints = None,
    *,
    accept_host_keys: AcceptHostKeys = False,
) -> None:
    """Add hosts, or replace a dead host by an empty one with its name (and another address), and deploy."""
    from skywright.cli.overcloud.overclouds import Enrolment, scaled
    from skywright.cli.overcloud.overclouds import deploy as run

    console = Console()
    wanted = scaled(name, add or [], role, plan)
    raise typer.Exit(run(console, wanted, Enrolment(_confirm(console, accept_host_keys), fingerprint or [])))


@app.command("recover")
def recover(
    name: Name,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="A controller that is not available: data that only its database has is lost. May be repeated."
        ),
    ] = None,
) -> None:
    """Restart the overcloud after all hosts were off."""
    from skywright.cli.overcloud.overclouds import recover as run

    raise typer.Exit(run(Console(), name, without or []))


@app.command("maintenance")
def maintenance(
    name: Name,
    host: Annotated[str, typer.Argument(help="The controller.")],
    *,
    end: Annotated[bool, typer.Option("--end", help="Use it again.")] = False,
) -> None:
    """Take a controller out of service for maintenance: its current requests end first."""
    from skywright.cli.overcloud.overclouds import maintain

    raise typer.Exit(maintain(Console(), name, host, end=end))


@app.command("delete")
def delete(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. All servers and data of the cloud are lost.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Only delete its records; nothing on its hosts changes.")
    ] = False,
) -> None:
    """Remove a cloud from its hosts, with all of its servers and data."""
    from skywright.cli.overcloud.overclouds import delete as run

    text = f"Remove {name} with all of its servers and data?" if not forget else f"Forget {name}?"
    if not yes and not (sys.stdin.isatty() and typer.confirm(text)):
        Console(stderr=True).print("Nothing was removed: confirm with --yes.")
        raise typer.Exit(1)
    raise typer.Exit(run(Console(), name, forget=forget))


def _confirm(console: Console, accept: bool) -> Callable[[str], bool]:
    def ask(text: str) -> bool:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return accept or (sys.stdin.isatty() and typer.confirm("Is that right?"))

    return ask

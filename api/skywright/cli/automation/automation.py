"""The commands about schedules, operator playbooks and webhooks."""

# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

schedules = typer.Typer(help="Requests that are repeated at certain times.", no_args_is_help=True)
playbooks = typer.Typer(help="An operator's own playbooks.", no_args_is_help=True)
webhooks = typer.Typer(help="URLs that get notifications when jobs end.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Its id, or a prefix of it.")]
Variables = Annotated[list[str] | None, typer.Option("-e", "--variable", help="NAME=VALUE; NAME=@FILE reads a file.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="A host or a group of hosts; default: all.")]


@playbooks.command("list")
def list_playbooks() -> None:
    """List the playbooks with their variables."""
    from skywright.cli.automation.playbooks import show

    show(Console())


@playbooks.command("run")
def run_playbook(
    name: Annotated[str, typer.Argument(help="The playbook's name.")],
    variable: Variables = None,
    host: Hosts = None,
    *,
    wait: Annotated[bool, typer.Option(help="Follow the job until it ends.")] = True,
) -> None:
    """Run a playbook; the exit code is its outcome. It prompts for missing secrets."""
    from skywright.cli.automation.playbooks import run

    raise typer.Exit(0 if run(Console(), name, variable or [], host or [], wait=wait) else 1)


@schedules.command("list")
def list_schedules() -> None:
    """List the schedules with their last and next times."""
    from skywright.cli.automation.schedules import show_all

    show_all(Console())


@schedules.command("show")
def show_schedule(schedule: Id) -> None:
    """Show a schedule and its last runs."""
    from skywright.cli.automation.schedules import show

    show(Console(), schedule)


@schedules.command("add")
def add_schedule(
    name: Annotated[str, typer.Argument(help="Its name.")],
    cron: Annotated[str, typer.Argument(help="Minute, hour, day, month, weekday: '30 2 * * 1-5'.")],
    request: Annotated[
        list[str] | None, typer.Argument(help="SERVICE METHOD PATH, such as: compute POST /v2.1/servers/ID/action.")
    ] = None,
    *,
    body: Annotated[str | None, typer.Option(help="The request's body, in JSON; @FILE reads a file.")] = None,
    playbook: Annotated[str | None, typer.Option(help="Run this operator playbook instead.")] = None,
    variable: Variables = None,
    host: Hosts = None,
    timezone: Annotated[str, typer.Option(help="The time zone, such as Europe/Berlin.")] = "UTC",
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused.")] = False,
) -> None:
    """Create a schedule of a request or of an operator playbook."""
    from skywright.cli.automation.schedules import add, playbook_parameters, request_parameters

    parameters = (
        request_parameters(request or [], body) if playbook is None else playbook_parameters(playbook, variable, host)
    )
    add(Console(), {"name": name, "cron": cron, "timezone": timezone, "paused": paused, **parameters})


@schedules.command("pause")
def pause_schedule(schedule: Id) -> None:
    """Pause a schedule."""
    from skywright.cli.automation.schedules import change

    change(Console(), schedule, paused=True)


@schedules.command("resume")
def resume_schedule(schedule: Id) -> None:
    """Resume a paused schedule at its next time."""
    from skywright.cli.automation.schedules import change

    change(Console(), schedule, paused=False)


@schedules.command("remove")
def remove_schedule(schedule: Id) -> None:
    """Remove a schedule and its history; its jobs stay."""
    from skywright.cli.automation.schedules import remove

    remove(Console(), schedule)


@webhooks.command("list")
def list_webhooks() -> None:
    """List the webhooks with their last deliveries."""
    from skywright.cli.automation.webhooks import show_all

    show_all(Console())


@webhooks.command("show")
def show_webhook(webhook: Id) -> None:
    """Show a webhook and its last deliveries."""
    from skywright.cli.automation.webhooks import show

    show(Console(), webhook)


@webhooks.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="Where to send: https://...")],
    state: Annotated[
        list[str] | None, typer.Option(help="Only these outcomes: successful, failed, canceled, error.")
    ] = None,
    playbook: Annotated[list[str] | None, typer.Option(help="Only jobs of this playbook: server, network...")] = None,
    description: Annotated[str, typer.Option(help="Its purpose.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the secret, whsec_...; by default it is generated.")
    ] = None,
    *,
    all_projects: Annotated[bool, typer.Option("--all-projects", help="Administrators: of all projects.")] = False,
) -> None:
    """Create a webhook. The secret that signs messages is shown only now."""
    from skywright.cli.automation.webhooks import add

    wanted = {"url": url, "description": description, "all_projects": all_projects, "playbooks": playbook or []}
    add(Console(), wanted | ({"states": state} if state else {}), secret_file)


@webhooks.command("remove")
def remove_webhook(webhook: Id) -> None:
    """Remove a webhook and its pending deliveries."""
    from skywright.cli.automation.webhooks import remove

    remove(Console(), webhook)

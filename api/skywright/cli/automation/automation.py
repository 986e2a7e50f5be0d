"""The commands about schedules, operator playbooks and webhooks."""

# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

schedules = typer.Typer(help="What is done again and again.", no_args_is_help=True)
playbooks = typer.Typer(help="An operator's own playbooks.", no_args_is_help=True)
webhooks = typer.Typer(help="Who is told when jobs end.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Its id, or how it begins.")]
Variables = Annotated[
    list[str] | None, typer.Option("-e", "--variable", help="NAME=VALUE; NAME=@FILE takes a file's text.")
]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="A host or a group of hosts; without any, all.")]


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
    """Run a playbook; the exit code tells how it ended. Secrets that are not given are asked for."""
    from skywright.cli.automation.playbooks import run

    raise typer.Exit(0 if run(Console(), name, variable or [], host or [], wait=wait) else 1)


@schedules.command("list")
def list_schedules() -> None:
    """List the schedules with their last and next times."""
    from skywright.cli.automation.schedules import show_all

    show_all(Console())


@schedules.command("show")
def show_schedule(schedule: Id) -> None:
    """Show a schedule and what became of its last times."""
    from skywright.cli.automation.schedules import show

    show(Console(), schedule)


@schedules.command("add")
def add_schedule(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    cron: Annotated[str, typer.Argument(help="Minute, hour, day, month, weekday: '30 2 * * 1-5'.")],
    request: Annotated[
        list[str] | None, typer.Argument(help="SERVICE METHOD PATH, as: compute POST /v2.1/servers/ID/action.")
    ] = None,
    *,
    body: Annotated[str | None, typer.Option(help="The request's body, in JSON; @FILE takes a file's text.")] = None,
    playbook: Annotated[str | None, typer.Option(help="Run this operator playbook instead.")] = None,
    variable: Variables = None,
    host: Hosts = None,
    timezone: Annotated[str, typer.Option(help="The zone that the times are in, as Europe/Berlin.")] = "UTC",
    paused: Annotated[bool, typer.Option("--paused", help="Do not begin yet.")] = False,
) -> None:
    """Have a request made, or an operator playbook run, again and again."""
    from skywright.cli.automation.schedules import add, playbook_wish, request_wish

    wish = request_wish(request or [], body) if playbook is None else playbook_wish(playbook, variable, host)
    add(Console(), {"name": name, "cron": cron, "timezone": timezone, "paused": paused, **wish})


@schedules.command("pause")
def pause_schedule(schedule: Id) -> None:
    """Let a schedule rest."""
    from skywright.cli.automation.schedules import change

    change(Console(), schedule, paused=True)


@schedules.command("resume")
def resume_schedule(schedule: Id) -> None:
    """Let a paused schedule go on with its next time."""
    from skywright.cli.automation.schedules import change

    change(Console(), schedule, paused=False)


@schedules.command("remove")
def remove_schedule(schedule: Id) -> None:
    """Remove a schedule and its history; jobs that it made stay."""
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
        list[str] | None, typer.Option(help="Only such ends: successful, failed, canceled, error.")
    ] = None,
    playbook: Annotated[list[str] | None, typer.Option(help="Only jobs of this playbook: server, network...")] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the secret, whsec_...; without one it is made.")
    ] = None,
    *,
    all_projects: Annotated[bool, typer.Option("--all-projects", help="Administrators: of all projects.")] = False,
) -> None:
    """Have a URL told when jobs end. The secret that messages are signed with is shown now, and never again."""
    from skywright.cli.automation.webhooks import add

    wanted = {"url": url, "description": description, "all_projects": all_projects, "playbooks": playbook or []}
    add(Console(), wanted | ({"states": state} if state else {}), secret_file)


@webhooks.command("remove")
def remove_webhook(webhook: Id) -> None:
    """Remove a webhook; what it was not told yet is forgotten."""
    from skywright.cli.automation.webhooks import remove

    remove(Console(), webhook)

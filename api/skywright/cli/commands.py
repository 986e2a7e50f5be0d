"""The commands and their options. Each imports what it needs when it runs, so that the start is fast."""

# ruff: noqa: PLC0415

import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from skywright.cli.automation.automation import playbooks, schedules, webhooks
from skywright.cli.hosts.host_commands import app as hosts
from skywright.cli.overcloud.overcloud import app as overcloud

app = typer.Typer(help="A private cloud with the OpenStack APIs, run by Ansible.", no_args_is_help=True)
jobs = typer.Typer(help="Requested operations, their progress and outcomes.", no_args_is_help=True)
policy = typer.Typer(help="The policy rules.", no_args_is_help=True)
app.add_typer(jobs, name="jobs")
app.add_typer(policy, name="policy")
app.add_typer(hosts, name="hosts")
app.add_typer(schedules, name="schedules")
app.add_typer(playbooks, name="playbooks")
app.add_typer(webhooks, name="webhooks")
app.add_typer(overcloud, name="overcloud")

JobId = Annotated[str, typer.Argument(help="The job's id, or a prefix of it.")]


@app.command()
def serve() -> None:
    """Run the API, and a worker that is restarted when it dies (SKYWRIGHT_WORKER=false: the API alone)."""
    from skywright.cli.cloud.serve import serve as run

    run()


@app.command()
def worker() -> None:
    """Run a worker without the API."""
    os.execv(sys.executable, [sys.executable, "-m", "skywright.worker"])


@app.command()
def bootstrap() -> None:
    """Create or migrate the tables, and create the administrator `admin` and the catalog. Reads the password from
    standard input.
    """
    from skywright.cli.cloud.accounts import bootstrap_administrator
    from skywright.settings import load

    made = bootstrap_administrator(load(), sys.stdin.readline().strip())
    print("changed" if made else "unchanged")


@app.command()
def services(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show the services, their paths on the API's port, and their classic ports."""
    from skywright.cli.cloud.services import show_services

    show_services(Console(), as_json=as_json)


@app.command()
def up() -> None:
    """Make this machine a cloud with two hosts and boot a server on each."""
    from skywright.cli.cloud.up import up as run

    run(Console())


@app.command()
def down() -> None:
    """Remove the cloud, its hosts and its files."""
    from skywright.cli.cloud.up import down as run

    run(Console())


@app.command()
def status() -> None:
    """Show the hosts, and the unfinished jobs."""
    from skywright.cli.jobs.show import show_status

    show_status()


@app.command(context_settings={"ignore_unknown_options": True})
def plan(
    command: Annotated[list[str], typer.Argument(help="An OpenStack command, after `--`.", metavar="-- COMMAND...")],
) -> None:
    """Show what an OpenStack command would change, without changing anything.

    The exit code is 0 if nothing would change, 2 if something would, 1 if the command would fail.
    """
    from skywright.cli.jobs.plan import plan as run

    raise typer.Exit(run(command, Console()))


@app.command()
def drift(
    host: Annotated[str | None, typer.Option(help="Only what is on this host.")] = None,
    project: Annotated[str | None, typer.Option(help="Only this project: its name or id.")] = None,
    *,
    diff: Annotated[bool, typer.Option("--diff", help="Show the present and the desired state.")] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the differences between the hosts and the records, without changing anything.

    The exit code is 0 without differences, 2 with differences, 1 if something was not checked and the rest has none.
    """
    from skywright.cli.jobs.drift import drift as run

    raise typer.Exit(run({"host": host, "project": project}, Console(), diff=diff, json=json))


@app.command()
def converge(
    host: Annotated[str | None, typer.Option(help="Only what is on this host.")] = None,
    project: Annotated[str | None, typer.Option(help="Only this project: its name or id.")] = None,
    *,
    keep_leftovers: Annotated[bool, typer.Option("--keep-leftovers", help="Do not remove leftovers.")] = False,
    recreate_disks: Annotated[
        bool, typer.Option("--recreate-disks", help="Recreate lost disks, without their users' data.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Converge the hosts to the records, and remove leftovers.

    The exit code is 0 if there is no drift afterwards, else 1.
    """
    from skywright.cli.jobs.drift import converge as run

    options = {"leftovers": not keep_leftovers, "recreate_disks": recreate_disks}
    raise typer.Exit(run({"host": host, "project": project}, options, Console(), json=json))


@app.command()
def replay(
    run: Annotated[str, typer.Argument(help="The id of a run or of a job, or a prefix of it.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Only show what would change.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Only write the files and print the command.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if its resources have changed since.")] = False,
) -> None:
    """Execute a run again with ansible-playbook, on the machine of its worker."""
    from skywright.cli.jobs.replay import run as execute

    raise typer.Exit(execute(run, Console(), check=check, prepare=prepare, anyway=anyway))


@app.command()
def audit(
    since: Annotated[str | None, typer.Option(help="A time as 2026-11-20T10:00, or an age: 30m, 12h, 7d.")] = None,
    user: Annotated[str | None, typer.Option(help="A user's name or id.")] = None,
    project: Annotated[str | None, typer.Option(help="A project's name or id.")] = None,
    service: Annotated[str | None, typer.Option(help="compute, network, image, identity, operations.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows of the table.")] = 50,
    *,
    json: Annotated[bool, typer.Option("--json", help="All records, as JSON lines.")] = False,
) -> None:
    """Show the audit trail, newest first."""
    from skywright.cli.jobs.audit import show

    show({"since": since, "user": user, "project": project, "service": service}, limit, json=json)


@policy.command("list")
def list_policies(
    service: Annotated[str | None, typer.Option(help="compute, network, image, identity, operations.")] = None,
) -> None:
    """List the current policy rules as a policy file, with their operations and the defaults that were overridden."""
    from skywright.cli.cloud.policies import policy_file
    from skywright.settings import load

    sys.stdout.writelines(f"{line}\n" for line in policy_file(load(), service))


@jobs.command("list")
def list_jobs(
    state: Annotated[
        list[str] | None, typer.Option(help="queued, running, successful, failed, canceled, error")
    ] = None,
    resource: Annotated[str | None, typer.Option(help="Of this resource: its id, or type:id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """List jobs, newest first."""
    from skywright.cli.jobs.show import show_jobs

    show_jobs(state or [], resource, limit)


@jobs.command("show")
def show_job(job: JobId) -> None:
    """Show a job with its steps and errors."""
    from skywright.cli.jobs.show import show_job as run

    run(job)


@jobs.command("follow")
def follow_job(
    job: Annotated[str | None, typer.Argument(help="The job's id, or a prefix of it.")] = None,
    resource: Annotated[str | None, typer.Option(help="All jobs of a resource: server/ID.")] = None,
    project: Annotated[str | None, typer.Option(help="All jobs of a project: its name or id.")] = None,
) -> None:
    """Follow a job until it ends; the exit code is its outcome. Without a job, follow all until interrupted."""
    from skywright.cli.jobs.follow import follow

    raise typer.Exit(0 if follow(Console(), job, resource, project) else 1)


@jobs.command("force")
def force_job(job: JobId) -> None:
    """Let a job run although its host is in maintenance or unreachable."""
    from skywright.cli.jobs.show import force

    force(job)


@jobs.command("priority", context_settings={"ignore_unknown_options": True})
def prioritize_job(
    job: JobId,
    priority: Annotated[int, typer.Argument(min=-100, max=100, help="Default 0; higher runs first.")],
) -> None:
    """Set the priority of a waiting job, and of the jobs that it waits for."""
    from skywright.cli.jobs.show import prioritize

    prioritize(job, priority)


@jobs.command("cancel")
def cancel_job(job: JobId) -> None:
    """Cancel a job."""
    from skywright.cli.jobs.show import cancel

    cancel(job)


def main() -> None:
    """Run the command line. An expected failure prints two lines, not a traceback."""
    from skywright.cli.cloud.steps import StepFailed

    try:
        app()
    except StepFailed as failure:
        console = Console(stderr=True)
        console.print(f"[red]{escape(failure.what)}[/]\n{escape(failure.advice)}", soft_wrap=True, highlight=False)
        sys.exit(1)

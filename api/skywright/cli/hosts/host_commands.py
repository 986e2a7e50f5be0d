"""The commands `skywright hosts ...` and their options."""

# ruff: noqa: PLC0415 - each imports what it needs when it runs, so that the start is fast

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="The hosts of the cloud.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The host's name.")]
Reason = Annotated[str | None, typer.Option(help="Shown with the host's state.")]


@app.command("add")
def add_host(  # noqa: PLR0917 - options are given by name
    address: Annotated[str, typer.Argument(help="IP address or host name.")],
    name: Annotated[str | None, typer.Option(help="Its name in the cloud; default: its own hostname.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="computes, networks; may be repeated.")] = None,
    user: Annotated[str, typer.Option(help="The user to log in: root, or a user with sudo.")] = "root",
    key: Annotated[Path, typer.Option(help="The private SSH key.")] = Path("~/.ssh/id_ed25519"),
    port: Annotated[int, typer.Option(help="SSH's port.")] = 22,
    data_interface: Annotated[str, typer.Option(help="The NIC of the cloud's networks.")] = "",
    data_address: Annotated[str, typer.Option(help="Its address, with prefix, where tunnels begin.")] = "",
    variable: Annotated[list[str] | None, typer.Option(help="NAME=YAML for roles; may be repeated.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="The fingerprint of its host key: SHA256:...")] = None,
    accept_host_key: Annotated[
        bool, typer.Option("--accept-host-key", help="Accept its host key, unless another one is recorded.")
    ] = False,
    deploy: Annotated[bool, typer.Option(help="Prepare it with playbooks/site.yml.")] = True,
) -> None:
    """Enrol a host: record its key, check it, register it and prepare it."""
    from skywright.cli.hosts.enrol import Target
    from skywright.cli.hosts.hosts import Wanted, add, parse_variables

    console = Console()

    def ask(text: str) -> bool:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return accept_host_key or (sys.stdin.isatty() and typer.confirm("Is that right?"))

    target = Target(address, user, key.expanduser(), port)
    wanted = Wanted(
        target=target,
        groups=group or ["computes"],
        name=name,
        data_interface=data_interface,
        data_address=data_address,
        variables=parse_variables(variable or []),
        fingerprint=fingerprint,
        deploy=deploy,
    )
    add(console, wanted, ask)


@app.command("list")
def list_hosts() -> None:
    """List the hosts."""
    from skywright.cli.hosts.hosts import list_hosts as run

    run(Console())


@app.command("show")
def show_host(name: Name) -> None:
    """Show all details of a host."""
    from skywright.cli.hosts.hosts import show_host as run

    run(Console(), name)


@app.command("enable")
def enable_host(name: Name) -> None:
    """Let the scheduler use a host again; this ends maintenance and quarantine."""
    _set_state(name, "enabled", None)


@app.command("disable")
def disable_host(name: Name, reason: Reason = None) -> None:
    """Let the scheduler put no new servers on a host; its servers stay."""
    _set_state(name, "disabled", reason)


@app.command("maintenance")
def maintain_host(name: Name, reason: Reason = None) -> None:
    """Put a host into maintenance: it gets no new servers, and jobs for its servers wait."""
    _set_state(name, "maintenance", reason)


@app.command("drain")
def drain_host(name: Name, reason: Reason = None) -> None:
    """Put a host without servers into maintenance. A host with servers is not changed; its servers are listed."""
    from skywright.cli.hosts.hosts import drain

    drain(Console(), name, reason)


@app.command("remove")
def remove_host(name: Name) -> None:
    """Remove a host without servers; nothing on it changes."""
    from skywright.cli.hosts.hosts import remove

    remove(Console(), name)


def _set_state(name: str, state: str, reason: str | None) -> None:
    from skywright.cli.hosts.hosts import set_state

    set_state(Console(), name, state, reason)

"""`skywright hosts ...`: enrolment and states of hosts."""

import ipaddress
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from skywright.cli.cloud.checkout import Checkout
from skywright.cli.cloud.steps import Report, StepFailed, Steps
from skywright.cli.hosts.enrol import HOST_NAME, INTERFACE, Ask, Findings, KnownHosts, Target, look
from skywright.cli.jobs.show import Api
from skywright.db.jobs import UNFINISHED
from skywright.jobs.runs.connection import connection, known_hosts
from skywright.jobs.runs.runner import inventory
from skywright.jobs.runs.variables import dump
from skywright.settings import load

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
COLORS = {"enabled": "green", "disabled": "yellow", "maintenance": "yellow", "quarantined": "red"}
SEEN_SECONDS = 120


@dataclass(frozen=True)
class Wanted:
    """The parameters of a new host."""

    target: Target
    groups: Sequence[str]
    name: str | None = None
    data_interface: str = ""
    data_address: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    deploy: bool = True

    def __post_init__(self) -> None:
        if self.name is not None and not HOST_NAME.fullmatch(self.name):
            raise StepFailed(f"{self.name!r} is not a name", "Letters, digits, dots, dashes and underscores make one.")
        if self.data_interface and not INTERFACE.fullmatch(self.data_interface):
            raise StepFailed(f"{self.data_interface!r} is not an interface", "See `ip link` on the host.")
        if self.data_address and not _is_interface_address(self.data_address):
            raise StepFailed(f"{self.data_address!r} is not an address with a prefix", "One is 172.20.1.13/24.")
        if self.deploy and not (self.data_interface and self.data_address):
            advice = "Give --data-interface and --data-address, or --no-deploy if the host is prepared already."
            raise StepFailed("The address of the host's tunnels is missing", advice)


def parse_variables(assignments: Sequence[str]) -> dict[str, Any]:
    """Return `NAME=YAML` as a variable of a host."""
    variables = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not VARIABLE.fullmatch(name):
            raise StepFailed(f"{assignment!r} is not a variable", "One is hypervisor_virt_type=qemu.")
        try:
            variables[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise StepFailed(f"The value of {name} is not YAML: {error}", "Quote values with several words.") from error
    return variables


def add(console: Console, wanted: Wanted, ask: Ask) -> None:
    """Enrol a host: record its key, examine, register, prepare and enable it. After a failure, run it again to
    continue.
    """
    api, target = Api(), wanted.target
    known = KnownHosts(known_hosts(load()))
    findings = look(target, known, wanted.data_interface, wanted.fingerprint, ask)
    name = wanted.name or findings.hostname
    problems = [*findings.problems, *_clashes(api, name, target)]
    if problems:
        raise StepFailed(
            "\n".join([f"{target.entry} cannot be a host:", *(f"  - {text}" for text in problems)]),
            "Fix these problems and add it again.",
        )
    if not findings.has_kvm:
        console.print("[yellow]It has no /dev/kvm: its servers' processors will be emulated, which is slow.[/]")
    host = {"groups": sorted(set(wanted.groups)), "variables": _variables(wanted, findings, known)}
    with Steps(console) as steps:
        if wanted.deploy:
            with steps.step(f"Register {name}"):
                _put(api, name, host | {"state": "maintenance", "disabled_reason": "it is being prepared"})
            with steps.step(f"Prepare {name}") as report:
                _deploy(name, host, report)
        with steps.step(f"Observe {name}") as report:
            job = _put(api, name, host | {"state": "enabled"})["job"]["id"]
            _wait_until_seen(api, name, job, report)
    list_hosts(console, api, name)


def _variables(wanted: Wanted, findings: Findings, known: KnownHosts) -> dict[str, Any]:
    target = wanted.target
    variables = {
        **wanted.variables,
        **connection(target.address, target.port, target.user, target.key.resolve(), known.path),
    }
    if not findings.is_root:
        variables["ansible_become"] = True
    if wanted.data_interface:
        variables["vswitch_data_interface"] = wanted.data_interface
    if wanted.data_address:
        variables["vswitch_data_address"] = wanted.data_address
    return variables


def _clashes(api: Api, name: str, target: Target) -> Iterator[str]:
    if not HOST_NAME.fullmatch(name):
        yield f"its hostname {name!r} is not a valid name: give one with --name"
    for host in api.request("GET", "/hosts")["hosts"]:
        variables = host["variables"]
        there = variables.get("ansible_host"), int(variables.get("ansible_port") or 22)
        if host["name"] == name and there != (target.address, target.port):
            yield f"there is another host {name} already, at {there[0]}: give another --name"


def _deploy(name: str, host: dict[str, Any], report: Report) -> None:
    """Run playbooks/site.yml for this host only."""
    with TemporaryDirectory(prefix="skywright-") as directory:
        path = Path(directory, "hosts.yml")
        path.write_text(dump(inventory([(name, host["groups"], host["variables"])])))
        Checkout.here().playbook("site", report, "-i", str(path), "--limit", name)


def _put(api: Api, name: str, host: dict[str, Any]) -> Any:
    return api.request("PUT", f"/hosts/{name}", json={"host": host})


def _wait_until_seen(api: Api, name: str, job_id: str, report: Report) -> None:
    limit = time.monotonic() + SEEN_SECONDS
    job = api.request("GET", f"/jobs/{job_id}")["job"]
    while job["state"] in UNFINISHED and time.monotonic() < limit:
        report("waiting for a worker")
        time.sleep(0.2)
        job = api.request("GET", f"/jobs/{job_id}")["job"]
    if job["state"] != "successful":
        reason = job["error"] or "no worker has observed it yet"
        raise StepFailed(f"{name} was not observed: {reason}", "See `skywright hosts list` and `skywright jobs list`.")


def list_hosts(console: Console, api: Api | None = None, only: str | None = None) -> None:
    """Print a table of the hosts."""
    table = Table("Host", "State", "Up", "Address", "Groups", "Servers", "vCPUs", "Memory MiB", "Why")
    for host in (api or Api()).request("GET", "/hosts")["hosts"]:
        if only not in (None, host["name"]):
            continue
        used = host["used"]
        table.add_row(
            host["name"],
            f"[{COLORS[host['state']]}]{host['state']}[/]",
            "[green]up[/]" if host["up"] else "[red]down[/]",
            escape(str(host["variables"].get("ansible_host", ""))),
            ", ".join(host["groups"]),
            str(used["servers"]),
            f"{used['vcpus']}/{host['vcpus']}",
            f"{used['memory_mib']}/{host['memory_mib']}",
            escape(_reason(host)),
        )
    console.print(table)


def _reason(host: dict[str, Any]) -> str:
    retry = f"; retry at {host['retry_at'][:19]}" if host["retry_at"] else ""
    return "; ".join(filter(None, [host["disabled_reason"], host["unreachable"] and host["unreachable"] + retry]))


def show_host(console: Console, name: str) -> None:
    """Print all details of a host."""
    facts = Table.grid(padding=(0, 2))
    for key, value in Api().request("GET", f"/hosts/{_named(name)}")["host"].items():
        if value not in (None, [], {}, ""):
            facts.add_row(f"[dim]{key}[/]", escape(str(value)))
    console.print(facts)


def set_state(console: Console, name: str, state: str, reason: str | None) -> None:
    """Set the state of a host: enabled, disabled or in maintenance."""
    api = Api()
    api.request("GET", f"/hosts/{_named(name)}")
    _put(api, name, {"state": state, "disabled_reason": reason})
    list_hosts(console, api, name)


def drain(console: Console, name: str, reason: str | None) -> None:
    """Put a host without servers into maintenance."""
    api = Api()
    api.request("POST", f"/hosts/{_named(name)}/drain", json={"reason": reason})
    list_hosts(console, api, name)


def remove(console: Console, name: str) -> None:
    """Remove a host and its recorded key."""
    api = Api()
    variables = api.request("GET", f"/hosts/{_named(name)}")["host"]["variables"]
    api.request("DELETE", f"/hosts/{name}")
    known = KnownHosts(known_hosts(load()))
    others = [host["variables"] for host in api.request("GET", "/hosts")["hosts"]]
    if _entry(variables) not in map(_entry, others):
        known.forget(_entry(variables))
    console.print(f"{name} is removed; nothing on it was changed.")


def _entry(variables: dict[str, Any]) -> str:
    address, port = variables.get("ansible_host", ""), int(variables.get("ansible_port") or 22)
    return str(address) if port == 22 else f"[{address}]:{port}"


def _named(name: str) -> str:
    if not HOST_NAME.fullmatch(name):
        raise StepFailed(f"There is no host {name!r}", "See `skywright hosts list`.")
    return name


def _is_interface_address(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "/" in text and "%" not in text

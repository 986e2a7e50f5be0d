"""Kinds of resources on hosts: a kind of job with the methods that show and repair drift.

The job engine calls these methods and contains no code for a particular kind. `skywright.services.registry` lists the
services that add kinds. Resources are compared in the order of the kinds: a kind comes before the kinds that it uses.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from skywright.core import Core, Item, Outcome, Work
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host, Job
from skywright.jobs.drift.model import LOST, UNKNOWN, Desired, Finding, Findings, Leftover, Reading, Records
from skywright.jobs.engine.activity import Key

# ruff: noqa: B027 - a kind overrides only the methods that it needs

Result = dict[str, Any]
# The actions of jobs that repair drift, and that remove leftovers from a host.
CONVERGE, TIDY = "converge", "tidy"


class ResourceKind(ABC):
    """A kind of resource. Its jobs share runs of `playbooks/cloud/items.yml` with those of all other kinds."""

    name: str  # as in a job's `playbook` and resources: server
    item_kind: str  # as in a run's variables: servers
    playbook = "items"
    read_only = False
    probing = False
    shared = False  # whether all projects see its drift, because it may affect their servers
    replaceable = False  # whether a resource whose data is lost can be recreated empty

    @abstractmethod
    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        """Return the work of *jobs*; see `Kind`."""

    @abstractmethod
    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        """Apply *outcome* to the job's resource; see `Kind`."""

    # The desired state, and differences from it.

    @abstractmethod
    def read_desired(self, reading: Reading) -> None:
        """Add the desired state of this kind to *reading*; write nothing."""

    @abstractmethod
    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        """Yield findings for *result*, of a module in check mode that would change an item."""

    def describe_error(self, base: Finding, result: Result) -> tuple[str, str]:
        """Return (state, text) for an item that cannot be converged."""
        return LOST if result.get("status") == LOST else UNKNOWN, str(result["error"])

    def own(self, item: Item) -> Item:
        """Return the fields of an item that belong to this resource and are not new at each rendering."""
        return item

    def parts(self, item: Item, ids: set[str]) -> list[Item]:
        """Return the parts of an item that have one of *ids*: those of another resource."""
        return []

    # Repair.

    def converge_arguments(self, key: Key, hosts: list[str], *, recreate: bool) -> dict[str, Any]:
        """Return the arguments of the job that repairs the resource on *hosts*. *recreate*: lost data as empty."""
        return {"hosts": hosts}

    def accept(self, session: Session, identifier: str) -> None:
        """Update the record to a state that the user made on the host; see `Findings.accepted`."""

    # Objects on hosts without a record.

    @abstractmethod
    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        """Yield the leftovers in *facts*; *found* are the leftovers that other kinds found on the host."""

    def tidy(self, one: Leftover) -> tuple[str, dict[str, Any]]:
        """Return (action, arguments) of the job that removes a leftover."""
        return TIDY, {"host": one.host}

    # Changes of hosts.

    def observe(self, session: Session, facts: Mapping[str, HostFacts], since: datetime) -> None:
        """Update records from the *facts* of hosts, of a run that began at *since*. Later jobs take precedence."""

    def host_booted(self, session: Session, host: Host, core: Core) -> None:
        """Queue jobs that restore what *host* lost when it booted."""

    def host_returned(self, session: Session, host: Host, core: Core) -> None:
        """Queue the updates that *host* missed while jobs did not use it."""

    def resources_bound_to(self, session: Session, host: str) -> list[str]:
        """Return the names of the resources that would be lost with *host*."""
        return []

    def host_removed(self, session: Session, host: str, core: Core) -> None:
        """Delete what the records have about *host*, which was removed."""


def resource_kinds(core: Core) -> dict[str, ResourceKind]:
    """Return the kinds of resources on hosts, by name, in their order."""
    return {name: kind for name, kind in core.kinds.items() if isinstance(kind, ResourceKind)}

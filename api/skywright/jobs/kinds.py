"""Kinds of resources that hosts carry: what they add to a kind of job, so that drift is visible and repairable.

The parts of the job engine ask the kinds and know none of them. `skywright.services.registry` lists the services that
bring them; their order is the order in which resources are compared: what uses others comes first.
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

# ruff: noqa: B027 - a kind need not do what it has no use for

Result = dict[str, Any]
# The actions of jobs that repair what drifted, and that remove from a host what no record knows.
CONVERGE, TIDY = "converge", "tidy"


class ResourceKind(ABC):
    """A kind of resource. Its jobs share runs of `playbooks/cloud/items.yml` with those of all other kinds."""

    name: str  # as in a job's `playbook` and resources: server
    item_kind: str  # as in a run's variables: servers
    playbook = "items"
    read_only = False
    probing = False
    shared = False  # whether every project is shown what differs of it: it may be what keeps its servers from running
    replaceable = False  # whether one whose data is lost can be made anew, empty

    @abstractmethod
    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        """The work of *jobs*; see `Kind`."""

    @abstractmethod
    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        """Apply *outcome* to the job's resource; see `Kind`."""

    # What hosts shall have, and how they differ.

    @abstractmethod
    def read_desired(self, reading: Reading) -> None:
        """Add to *reading* what the records say that hosts have of this kind, writing nothing."""

    @abstractmethod
    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        """*result*, of a module in check mode that would change an item, in words."""

    def describe_error(self, base: Finding, result: Result) -> tuple[str, str]:
        """(state, text) of an item that cannot be converged."""
        return LOST if result.get("status") == LOST else UNKNOWN, str(result["error"])

    def own(self, item: Item) -> Item:
        """What of an item is this resource's own: neither another's, nor new each time it is rendered."""
        return item

    def parts(self, item: Item, ids: set[str]) -> list[Item]:
        """What of an item belongs to the owner of the parts *ids*."""
        return []

    # Repair.

    def converge_arguments(self, key: Key, hosts: list[str], *, anew: bool) -> dict[str, Any]:
        """The arguments of the job that repairs the resource on *hosts*; *anew*: with an empty one for lost data."""
        return {"hosts": hosts}

    def accept(self, session: Session, identifier: str) -> None:
        """Let the record follow what the resource's user did on the host: see `Findings.accepted`."""

    # What is on hosts and in no record.

    @abstractmethod
    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        """What of *facts* is in no record; *found* is what other kinds found on the host."""

    def tidy(self, one: Leftover) -> tuple[str, dict[str, Any]]:
        """(action, arguments) of the job that removes a leftover."""
        return TIDY, {"host": one.host}

    # What becomes of hosts.

    def observe(self, session: Session, facts: Mapping[str, HostFacts], since: datetime) -> None:
        """Let records follow the *facts* of hosts, of a run that began at *since*; what jobs did since counts more."""

    def host_booted(self, session: Session, host: Host, core: Core) -> None:
        """Have brought back what a host lost when it booted."""

    def host_returned(self, session: Session, host: Host, core: Core) -> None:
        """Have told *host*, which may be worked on again, what it missed."""

    def bound_to(self, session: Session, host: str) -> list[str]:
        """What would be lost with *host*, by name."""
        return []

    def host_removed(self, session: Session, host: str, core: Core) -> None:
        """Forget what the records say of *host*, which was removed."""


def resource_kinds(core: Core) -> dict[str, ResourceKind]:
    """The kinds of resources that hosts carry, by name, in their order."""
    return {name: kind for name, kind in core.kinds.items() if isinstance(kind, ResourceKind)}

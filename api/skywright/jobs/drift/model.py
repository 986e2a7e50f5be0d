"""Data of a comparison of hosts with the records: the desired state, findings, leftovers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from skywright.core import Core, Item
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host, Job
from skywright.jobs.engine.activity import Key, Touched

DRIFTED, LOST, UNKNOWN = "drifted", "lost", "unknown"

Index = dict[tuple[str, str, str], Item]
RANDOM = 4  # the version of the UUIDs that the API assigns


@dataclass(frozen=True)
class Scope:
    """What is compared: everything, one host, or the resources of one project."""

    host: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class Resource:
    """The name and the project of a resource."""

    name: str
    project_id: str | None


@dataclass(frozen=True)
class Use:
    """The resource *owner* needs the resource *id* of another kind on *host*. Not *active*: it needs it later."""

    owner: Key
    kind: str
    id: str
    host: str
    active: bool = True


@dataclass
class Desired:
    """The desired state of hosts.

    `closed`: {host: reason} of hosts that cannot be compared; `left_out`: {resource: reason} of resources that are not
    compared; `owners`: {part: resource}, the owners of parts of other resources' items.
    """

    hosts: list[tuple[str, list[str], dict[str, Any]]] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)
    items: dict[str, dict[str, list[Item]]] = field(default_factory=dict)
    resources: dict[Key, Resource] = field(default_factory=dict)
    left_out: dict[Key, str] = field(default_factory=dict)
    owners: dict[str, Key] = field(default_factory=dict)

    def add(self, host: str, item_kind: str, item: Item) -> None:
        self.items.setdefault(host, {}).setdefault(item_kind, []).append(item)

    def entries(self) -> Iterator[tuple[str, str, Item]]:
        """Yield all items, as (host, item kind, item)."""
        for host, kinds in self.items.items():
            for item_kind, items in kinds.items():
                for item in items:
                    yield host, item_kind, item

    def index(self) -> Index:
        """Return all items, by host, item kind and id."""
        return {(host, item_kind, item["id"]): item for host, item_kind, item in self.entries()}


@dataclass
class Reading:
    """The state while the desired state is read from the records, one kind of resource after another.

    `hosts` are all hosts that can be compared, `compared` the ones in scope that answer; `busy` are the resources with
    an unfinished job.
    """

    session: Session
    core: Core
    scope: Scope
    hosts: dict[str, Host]
    compared: dict[str, Host]
    busy: dict[Key, Job]
    desired: Desired
    uses: list[Use] = field(default_factory=list)

    def includes(self, key: Key, name: str | None, project_id: str | None, reason: str | None = None) -> bool:
        """Record a resource. Return False if it is not compared, because of *reason* or because a job works on it."""
        self.desired.resources[key] = Resource(name or "", project_id)
        job = self.busy.get(key)
        if job is not None:
            reason = f"{job.playbook} {job.action} is not finished (job {job.id})"
        if reason is not None:
            self.desired.left_out[key] = reason
        return reason is None

    def used(self, kind: str) -> list[Use]:
        """Return the uses of resources of *kind* by the kinds that were read before."""
        return [use for use in self.uses if use.kind == kind]


@dataclass(frozen=True)
class Finding:
    """One difference of a resource on a host.

    `carrier`: the resource whose item has the difference, if it is another one: a network's item includes the ports of
    servers.
    """

    key: Key
    host: str
    module: str
    text: str
    state: str = DRIFTED
    action: str | None = None
    diff: dict[str, Any] | None = None
    carrier: Key | None = None


@dataclass
class Findings:
    """All differences.

    `facts`: the facts of each host; `silent`: {host: reason} of hosts that returned no result; `accepted`: resources
    whose users made the difference themselves, for example by a shutdown in the guest.
    """

    facts: Mapping[str, HostFacts]
    found: list[Finding] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    accepted: set[Key] = field(default_factory=set)


@dataclass
class Leftover:
    """An object on a host that has the cloud's marks but no record: a resource of *kind*, or parts of such a resource.

    `parts`: {part type: ids}; `locks`: resources that other jobs must not change during the removal.
    """

    host: str
    kind: str
    id: str
    texts: list[str] = field(default_factory=list)
    data: bool = False  # whether it may hold users' data
    parts: dict[str, set[str]] = field(default_factory=dict)
    locks: set[Key] = field(default_factory=set)

    @property
    def key(self) -> Key:
        return self.kind, self.id


@dataclass(frozen=True)
class Records:
    """The records to compare a host's contents with, and the activity of jobs since the dry runs began."""

    session: Session
    moved: Touched

    def settled(self, kind: str, identifier: str) -> bool:
        """Return whether the id was assigned by the API and no job worked on it."""
        moving = (kind, identifier) in self.moved.resources or identifier in self.moved.items
        return is_random(identifier) and not moving


def is_random(identifier: str) -> bool:
    """Return whether the id is a random UUID, as the API assigns them."""
    try:
        return UUID(identifier).version == RANDOM
    except ValueError:
        return False

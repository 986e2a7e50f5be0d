"""What the API and the workers share: `Core`, and the contract between the job engine and the kinds of jobs.

Functions get a Core as an argument; there are no globals. This module does not load the web framework, so that workers
stay small.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

from sqlalchemy.orm import Session

from skywright.db import Database
from skywright.db.jobs import Job
from skywright.queue.local import Queue
from skywright.queue.make import make_queue
from skywright.settings import Settings

if TYPE_CHECKING:
    from skywright.auth.keyring import Keyring

# ruff: noqa: PLC0415 - imports that only some processes need

Item = dict[str, Any]

# A job with this action that is canceled after it began is rendered again, with `undoing` set: its items are absent.
CREATE = "create"
# A job with this action cannot be canceled after it began: what it removed is gone.
DELETE = "delete"


@dataclass
class Work:
    """The work of one run for the jobs that it carries."""

    # {host name: {item kind: [item]}} as in docs/architecture.md; an id appears at most once per host and item kind.
    items: dict[str, dict[str, list[Item]]] = field(default_factory=dict)
    # {job id: {(host name, item id)}}: the items whose results decide the job. Without items it succeeds at once.
    depends: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    # {job id: reason}: jobs that cannot run. They fail at once.
    refused: dict[str, str] = field(default_factory=dict)
    # Jobs that fail at once if a host is unreachable, instead of waiting for it.
    fail_fast: set[str] = field(default_factory=set)
    # {job id: host name}: the hosts that the scheduler chose in this attempt. If such a host is unreachable, the job is
    # rendered again with the argument `avoid`.
    scheduled: dict[str, str] = field(default_factory=dict)
    # Extra variables of the run. The record of the run has only digests of the confidential ones.
    variables: dict[str, Any] = field(default_factory=dict)
    confidential: dict[str, Any] = field(default_factory=dict)
    # The time limit of the run; None: the limit of the settings.
    timeout_seconds: float | None = None
    # {host name: (groups, variables)}: groups of the host that replace its own in this run, and additional variables.
    inventory: dict[str, tuple[list[str], dict[str, Any]]] = field(default_factory=dict)
    # Whether the run uses check mode.
    check: bool = False
    # {job id: reason}: jobs that cannot share this run. They go back to the queue.
    postponed: dict[str, str] = field(default_factory=dict)
    # The refused jobs whose only reason is an unreachable host.
    unreachable: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    ok: bool
    error: str | None = None
    # The results of the job's items: each has host, module, id, changed, and optionally status and error.
    results: list[dict[str, Any]] = field(default_factory=list)
    canceled: bool = False  # the job was undone; `ok` tells whether all that it made is removed
    unreachable: bool = False  # unreachable hosts are the only reason of the failure


class Kind(Protocol):
    """A kind of job: renders the jobs' items, and applies their outcomes to the resources."""

    name: str  # the `playbook` of its jobs; jobs may add a suffix: `operator/NAME`
    playbook: str  # the file in playbooks/cloud; jobs with the same playbook share runs
    read_only: bool  # whether its jobs change nothing on hosts; such jobs also run on hosts in maintenance
    probing: bool  # whether its jobs find out which hosts answer; they also run on quarantined hosts

    def render(self, session: Session, jobs: Sequence[Job], core: "Core") -> Work:
        """Return the work of *jobs*, from the current database, in a write transaction (it may assign hosts)."""
        ...

    def settle(self, session: Session, job: Job, outcome: Outcome, core: "Core") -> None:
        """Apply *outcome* to the job's resources, in the transaction that ends the job."""
        ...


def playbook_file(playbook: str) -> str:
    """Return the file of a playbook in the project; `operator/NAME` is run by `playbooks/operator.yml`."""
    kind, _, name = playbook.partition("/")
    return f"playbooks/{kind}.yml" if name else f"playbooks/cloud/{kind}.yml"


class Core:
    """Settings, database, queue, the keys of stored secrets, and the kinds of jobs."""

    def __init__(self, settings: Settings, kinds: Iterable[Kind] = ()) -> None:
        settings.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.kinds: Mapping[str, Kind] = {kind.name: kind for kind in kinds}
        self.database = Database(settings.database_url)
        self.queue: Queue = make_queue(settings.broker, settings.root / "workers")

    @cached_property
    def secrets(self) -> "Keyring":
        """Return the keyring that encrypts the secrets that users store in the database."""
        from skywright.auth.keyring import Keyring

        return Keyring(self.settings.key_dir / "credentials")

    def kind_of(self, playbook: str) -> Kind:
        """Return the kind of jobs with this `playbook`; the kind of `operator/NAME` is `operator`."""
        return self.kinds[playbook.partition("/")[0]]

    def playbook_of(self, name: str) -> str:
        """Return the playbook file's name for jobs whose `playbook` is *name*. Jobs with the same one share runs."""
        return name if "/" in name else self.kinds[name].playbook

    @property
    def read_only_kinds(self) -> list[str]:
        """Return the names of the kinds whose jobs change nothing on hosts."""
        return [kind.name for kind in self.kinds.values() if kind.read_only]

    def with_database(self, database: Database) -> Self:
        """Return a copy that uses another database: that of a dry run."""
        other = copy(self)
        other.database = database
        return other

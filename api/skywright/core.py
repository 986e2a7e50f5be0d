"""What the API and the workers share, and what the job engine asks of a kind of job.

Every part is handed a Core, none reaches for globals. Nothing here loads the web stack: a worker must stay small.
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

# ruff: noqa: PLC0415 - what few processes need is loaded by those

Item = dict[str, Any]

# A job of this action that is canceled after it began is rendered once more, now with `undoing`: as absent.
CREATE = "create"
# One of this action that has begun cannot be canceled: what it removed is gone.
DELETE = "delete"


@dataclass
class Work:
    """What a run has to do for the jobs that it carries."""

    # {host name: {item kind: [item]}} as in docs/architecture.md; one id at most once per host and item kind.
    items: dict[str, dict[str, list[Item]]] = field(default_factory=dict)
    # {job id: {(host name, item id)}}: the results that decide the job; a job without any succeeds without a run.
    depends: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    # {job id: reason}: jobs that cannot run; they are settled as failed at once.
    refused: dict[str, str] = field(default_factory=dict)
    # Jobs that fail at once, instead of waiting, when a host does not answer.
    impatient: set[str] = field(default_factory=set)
    # {job id: host name}: jobs that chose this host only now. If it does not answer, they may choose again: such a
    # job is rendered with its argument `avoid`.
    chosen: dict[str, str] = field(default_factory=dict)
    # Variables of the run beside the items; of the confidential ones its record has only digests.
    variables: dict[str, Any] = field(default_factory=dict)
    confidential: dict[str, Any] = field(default_factory=dict)
    # How long the run may take at most; None: as long as the settings allow.
    limit_seconds: float | None = None
    # {host name: (groups, variables)}: the groups that a host is in for this run, in place of its own, and variables
    # beside its own.
    inventory: dict[str, tuple[list[str], dict[str, Any]]] = field(default_factory=dict)
    # Whether the run only says what it would change.
    check: bool = False
    # {job id: reason}: jobs that cannot share this run; they go back to the queue.
    postponed: dict[str, str] = field(default_factory=dict)
    # Of the refused jobs, those that only a host's silence keeps from running.
    silent: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    ok: bool
    error: str | None = None
    # The results of the items that the job depends on: each has host, module, id, changed, perhaps status and error.
    results: list[dict[str, Any]] = field(default_factory=list)
    canceled: bool = False  # then `ok` tells whether what the job made is gone
    silent: bool = False  # nothing but hosts that did not answer went wrong


class Kind(Protocol):
    """A kind of job: what a job named `name` needs on hosts, and what its end means for its resources."""

    name: str  # a job's `playbook`; a job may add a part of its own: `operator/NAME`
    playbook: str  # the file in playbooks/cloud; jobs of all kinds with the same one share runs
    reading: bool  # whether its jobs only look at hosts: such jobs also run during maintenance
    probing: bool  # whether its jobs find out which hosts answer: they are never kept off any

    def render(self, session: Session, jobs: Sequence[Job], core: "Core") -> Work:
        """The work of *jobs*, from the database as it is now, in a write transaction (so it may assign hosts)."""
        ...

    def settle(self, session: Session, job: Job, outcome: Outcome, core: "Core") -> None:
        """Apply *outcome* to the job's resources, in the transaction that ends the job."""
        ...


def file_of(playbook: str) -> str:
    """A playbook's file in the project; `operator/NAME` is one of an operator's own, for which another stands in."""
    kind, _, name = playbook.partition("/")
    return f"playbooks/{kind}.yml" if name else f"playbooks/cloud/{kind}.yml"


class Core:
    """Settings, database, queue, the key of stored secrets, and the kinds of jobs."""

    def __init__(self, settings: Settings, kinds: Iterable[Kind] = ()) -> None:
        settings.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.kinds: Mapping[str, Kind] = {kind.name: kind for kind in kinds}
        self.database = Database(settings.database_url)
        self.queue: Queue = make_queue(settings.broker, settings.root / "workers")

    @cached_property
    def secrets(self) -> "Keyring":
        """What encrypts the secrets that users keep in the database."""
        from skywright.auth.keyring import Keyring

        return Keyring(self.settings.key_dir / "credentials")

    def kind_of(self, playbook: str) -> Kind:
        """The kind of a job whose `playbook` this is; `operator/NAME` is of the kind `operator`."""
        return self.kinds[playbook.partition("/")[0]]

    def playbook_of(self, name: str) -> str:
        """The playbook of a job whose `playbook` is *name*: jobs of the same one share runs."""
        return name if "/" in name else self.kinds[name].playbook

    @property
    def reading(self) -> list[str]:
        """The kinds whose jobs only look at hosts."""
        return [kind.name for kind in self.kinds.values() if kind.reading]

    def with_database(self, database: Database) -> Self:
        """The same with another database: a rehearsal's."""
        other = copy(self)
        other.database = database
        return other

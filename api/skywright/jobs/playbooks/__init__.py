"""What each playbook of playbooks/cloud needs to know and to decide: one module a playbook, named after it.

A module defines `PLAYBOOK`, an object that satisfies the protocol below; nothing else has to be registered.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.orm import Session

from skywright.db.jobs import Job

if TYPE_CHECKING:
    from skywright.cloud import Cloud

Item = dict[str, Any]

# A job of this action that is canceled after it began is rendered once more, now with `undoing`: as absent.
CREATE = "create"
# One of this action that has begun cannot be canceled: what it removed is gone.
DELETE = "delete"


@dataclass
class Work:
    """What a run has to do for the jobs that it carries."""

    # {host name: {kind: [item]}}, kinds and items as in docs/architecture.md; one id at most once per host and kind.
    items: dict[str, dict[str, list[Item]]] = field(default_factory=dict)
    # {job id: {(host name, item id)}}: the results that decide the job; a job without any succeeds without a run.
    depends: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    # {job id: reason}: jobs that cannot run; they are settled as failed at once.
    refused: dict[str, str] = field(default_factory=dict)
    # Jobs that rather fail than wait for a host that does not answer.
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


class Playbook(Protocol):
    """What the job engine asks of a playbook."""

    name: str

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        """The work of *jobs*, from the database as it is now, in a write transaction (so it may assign hosts)."""
        ...

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        """Apply *outcome* to the job's resources, in the transaction that ends the job."""
        ...


def file_of(playbook: str) -> str:
    """The playbook's file in the project; `operator/NAME` is one of an operator's own, for which another stands in."""
    kind, _, name = playbook.partition("/")
    return f"playbooks/{kind}.yml" if name else f"playbooks/cloud/{kind}.yml"


class _Registry(dict[str, Playbook]):
    def __missing__(self, name: str) -> Playbook:
        kind, _, rest = name.partition("/")
        if not rest:
            raise KeyError(name)
        return self[kind]


@cache
def registry() -> Mapping[str, Playbook]:
    """All playbooks by name; `operator/NAME` is one of the kind `operator`."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    playbooks: list[Playbook] = [module.PLAYBOOK for module in modules if hasattr(module, "PLAYBOOK")]
    return _Registry({playbook.name: playbook for playbook in playbooks})

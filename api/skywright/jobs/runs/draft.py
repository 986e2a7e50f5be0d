"""Drafts: the runs that jobs would have. The jobs are rendered, but not claimed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from skywright.core import Core, Item
from skywright.db.jobs import Job
from skywright.jobs.engine.host_state import current_holds, drop_unneeded_hosts, find_hold
from skywright.jobs.engine.rendering import inventory_of, render


@dataclass(frozen=True)
class PlannedJob:
    """A job of a draft. *refused*: why it could not run; *waiting_for*: what it would have to wait for; *depends*: the
    items that would decide it.
    """

    playbook: str
    action: str
    resources: list[tuple[str, str]]
    depends: frozenset[tuple[str, str]]
    refused: str | None
    waiting_for: str | None


@dataclass(frozen=True)
class Draft:
    """The run that some jobs of one playbook would have. It is still valid after their transaction."""

    playbook: str
    jobs: list[PlannedJob]
    items: dict[str, dict[str, list[Item]]]
    hosts: list[tuple[str, list[str], dict[str, Any]]]
    variables: dict[str, Any] = field(default_factory=dict)  # in addition to the items


def draft(session: Session, core: Core, jobs: Sequence[Job]) -> list[Draft]:
    """Return the runs of *jobs*, one for each playbook. Rendering may write, so the transaction must be rolled back."""
    by_playbook: dict[str, list[Job]] = {}
    for job in jobs:
        by_playbook.setdefault(core.playbook_of(job.playbook), []).append(job)
    return [_draft(session, core, name, group) for name, group in by_playbook.items()]


def _draft(session: Session, core: Core, playbook: str, jobs: list[Job]) -> Draft:
    holds = current_holds(session)
    work = render(session, core, jobs)
    holding = {job.id: hold.reason for job in jobs if (hold := find_hold(core, job, work, holds))}
    drop_unneeded_hosts(work, holds)
    planned = [
        PlannedJob(
            job.playbook,
            job.action,
            [(row.resource_type, row.resource_id) for row in job.resources],
            frozenset(work.depends.get(job.id, ())),
            work.refused.get(job.id),
            holding.get(job.id),
        )
        for job in jobs
    ]
    return Draft(playbook, planned, work.items, inventory_of(session, work), work.variables | work.confidential)

"""Rendering: the items of one run, from the current records.

Each kind of job renders its own items. Items of several jobs with the same id, kind and host, such as a network, are
merged.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Item, Kind, Work
from skywright.db.jobs import Host, Job
from skywright.db.mariadb import ended_transaction
from skywright.jobs.runs.variables import reserved_key

log = logging.getLogger(__name__)

RunHost = tuple[str, list[str], dict[str, Any]]  # name, groups, variables


class ConflictingItems(Exception):
    """Two jobs need opposite states of one item: one of them has to wait for the next run."""


def render(session: Session, core: Core, jobs: Sequence[Job]) -> Work:
    """Return the work of *jobs* of one playbook. A job that cannot be rendered does not prevent the others."""
    by_kind: dict[str, list[Job]] = {}
    for job in jobs:
        by_kind.setdefault(job.playbook, []).append(job)
    total = Work()
    for playbook, group in by_kind.items():
        with session.begin_nested() as savepoint:
            work = _render_kind(session, core, core.kind_of(playbook), group)
            if len(by_kind) == 1:
                return work
            try:
                total = merged(total, work)
            except ConflictingItems as conflict:
                savepoint.rollback()  # the decisions of these jobs are made again
                total.postponed |= {job.id: str(conflict) for job in group}
    return total


def merged(one: Work, other: Work) -> Work:
    """Return both works as one; raise ConflictingItems if that is not possible."""
    total = Work(
        items={host: {kind: list(items) for kind, items in kinds.items()} for host, kinds in one.items.items()},
        postponed=dict(one.postponed),
    )
    for host, kinds in other.items.items():
        for item_kind, items in kinds.items():
            total.items.setdefault(host, {})[item_kind] = _merged_items(
                total.items.get(host, {}).get(item_kind, []), items, f"{item_kind} on {host}"
            )
    for name in ("depends", "refused", "scheduled", "variables", "confidential", "inventory"):
        setattr(total, name, getattr(one, name) | getattr(other, name))
    total.fail_fast, total.unreachable = one.fail_fast | other.fail_fast, one.unreachable | other.unreachable
    limits = [work.timeout_seconds for work in (one, other) if work.items]
    total.timeout_seconds = None if None in limits else max((limit for limit in limits if limit), default=None)
    return total


def _merged_items(one: list[Item], other: list[Item], where: str) -> list[Item]:
    found = {item["id"]: item for item in one}
    for item in other:
        found[item["id"]] = _merged(found[item["id"]], item, where) if item["id"] in found else item
    return list(found.values())


def _merged(one: Item, other: Item, where: str) -> Item:
    """Merge two items with the same id: their lists are joined, and entries with the same id are merged."""
    if one.get("state") != other.get("state"):
        raise ConflictingItems(f"another job of {where}, which needs the opposite state")
    result = dict(one)
    for name, value in other.items():
        have = one.get(name)
        if have is None:
            result[name] = value
        elif isinstance(have, dict) and isinstance(value, dict):
            result[name] = _merged(have, value, where)
        elif isinstance(have, list) and isinstance(value, list):
            result[name] = _merged_lists(have, value, where)
        # Else the values are equal, or new at each rendering, such as the signature of a URL.
    return result


def _merged_lists(one: list[Any], other: list[Any], where: str) -> list[Any]:
    if all(isinstance(entry, dict) and "id" in entry for entry in (*one, *other)):
        return _merged_items(one, other, where)
    return [*one, *(entry for entry in other if entry not in one)]


def _render_kind(session: Session, core: Core, kind: Kind, jobs: Sequence[Job]) -> Work:
    try:
        return _render_together(session, core, kind, jobs)
    except Exception as error:
        if ended_transaction(error):
            raise
        log.exception("rendering %d jobs together failed; each is rendered alone", len(jobs))
    broken = {}
    for job in jobs:
        try:
            with session.begin_nested() as savepoint:
                kind.render(session, [job], core)
                savepoint.rollback()
        except Exception as error:
            if ended_transaction(error):
                raise
            log.exception("job %s cannot be rendered", job.id)
            broken[job.id] = f"The job cannot be prepared: {error}"
    rest = [job for job in jobs if job.id not in broken]
    work = _render_together(session, core, kind, rest) if rest else Work()
    work.refused.update(broken)
    return work


def _render_together(session: Session, core: Core, kind: Kind, jobs: Sequence[Job]) -> Work:
    with session.begin_nested():
        work = kind.render(session, jobs, core)
    _refuse_reserved_keys(work)
    _refuse_unknown_hosts(session, work)
    return work


def _refuse_reserved_keys(work: Work) -> None:
    """Refuse jobs whose items have a key that Ansible refuses: it would refuse the items of all jobs."""
    for host, kinds in work.items.items():
        for item_kind, items in kinds.items():
            bad = {item["id"]: key for item in items if (key := reserved_key(item))}
            if not bad:
                continue
            kinds[item_kind] = [item for item in items if item["id"] not in bad]
            for job_id, depends in work.depends.items():
                for item_id, key in bad.items():
                    if (host, item_id) in depends:
                        work.refused[job_id] = f"The name {key!r} is reserved: it cannot be used on a host."


def _refuse_unknown_hosts(session: Session, work: Work) -> None:
    known = {host.name for host in _hosts_of(session, work)}
    for job_id, depends in work.depends.items():
        if unknown := {host for host, _ in depends} - known:
            work.refused[job_id] = f"No such host is registered: {', '.join(sorted(unknown))}"


def _hosts_of(session: Session, work: Work) -> Sequence[Host]:
    return session.scalars(select(Host).where(Host.name.in_(work.items)).order_by(Host.name)).all()


def inventory_of(session: Session, work: Work) -> list[RunHost]:
    """Return the hosts of the run, with their groups and variables."""
    found = []
    for host in _hosts_of(session, work):
        groups, variables = work.inventory.get(host.name, (host.groups, {}))
        found.append((host.name, list(groups), {**host.variables, **variables}))
    return found

"""Effective role assignments: members instead of groups, projects instead of inheritance, and implied roles, too."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.directory import Directory
from skywright.db.identity import GroupMember, Project


@dataclass(frozen=True)
class HeldRole:
    """One role of one actor on one target: as assigned or, if effective, as it results."""

    role: str
    actor_type: str
    actor: str
    target_type: str
    target: str
    inherited: bool
    group: str | None = None  # the group through which a user has it
    prior: str | None = None  # the role that implies it
    source: tuple[str, str] | None = None  # the (target type, id) that it is inherited from


def expand(session: Session, directory: Directory, rows: list[HeldRole]) -> list[HeldRole]:
    """Return the effective assignments of *rows*: of users, on the targets themselves."""
    groups = {row.actor for row in rows if row.actor_type == "group"}
    members: dict[str, list[str]] = {}
    query = select(GroupMember.group_id, GroupMember.user_id).where(GroupMember.group_id.in_(groups))
    for group, user in session.execute(query):
        members.setdefault(group, []).append(user)
    return [
        implied
        for row in _inherited(session, rows)
        for held in _by_users(row, members)
        for implied in _implied(directory, held)
    ]


def _inherited(session: Session, rows: list[HeldRole]) -> list[HeldRole]:
    if not any(row.inherited for row in rows):
        return rows
    children: dict[str | None, list[str]] = {}
    of_domain: dict[str, list[str]] = {}
    for identifier, parent, domain in session.execute(select(Project.id, Project.parent_id, Project.domain_id)):
        children.setdefault(parent, []).append(identifier)
        of_domain.setdefault(domain, []).append(identifier)
    found = []
    for row in rows:
        if not row.inherited:
            found.append(row)
            continue
        below = of_domain.get(row.target, []) if row.target_type == "domain" else list(_below(children, row.target))
        source = (row.target_type, row.target)
        found += [replace(row, target_type="project", target=to, inherited=False, source=source) for to in below]
    return found


def _below(children: dict[str | None, list[str]], project: str) -> Iterator[str]:
    for child in children.get(project, ()):
        yield child
        yield from _below(children, child)


def _by_users(row: HeldRole, members: dict[str, list[str]]) -> list[HeldRole]:
    if row.actor_type == "user":
        return [row]
    return [replace(row, actor_type="user", actor=user, group=row.actor) for user in members.get(row.actor, ())]


def _implied(directory: Directory, row: HeldRole) -> Iterator[HeldRole]:
    for role in directory.with_implied([row.role]):
        yield row if role == row.role else replace(row, role=role, prior=row.role)

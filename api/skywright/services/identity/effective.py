"""What role assignments amount to: groups become their members, inheritance the projects, roles what they imply."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.directory import Directory
from skywright.db.identity import GroupMember, Project


@dataclass(frozen=True)
class Held:
    """One role held, as assigned or, when effective, as it works out."""

    role: str
    actor_type: str
    actor: str
    target_type: str
    target: str
    inherited: bool
    group: str | None = None  # through which a user holds it
    prior: str | None = None  # the role that implies it
    source: tuple[str, str] | None = None  # (target type, id) that it is inherited from


def expand(session: Session, directory: Directory, rows: list[Held]) -> list[Held]:
    """The effective assignments of *rows*: of users only, on targets themselves."""
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


def _inherited(session: Session, rows: list[Held]) -> list[Held]:
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


def _by_users(row: Held, members: dict[str, list[str]]) -> list[Held]:
    if row.actor_type == "user":
        return [row]
    return [replace(row, actor_type="user", actor=user, group=row.actor) for user in members.get(row.actor, ())]


def _implied(directory: Directory, row: Held) -> Iterator[Held]:
    for role in directory.with_implied([row.role]):
        yield row if role == row.role else replace(row, role=role, prior=row.role)

"""The roles that a user has on a target."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Executable, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from skywright.auth.directory import Directory
from skywright.db.identity import GroupMember, Project, RoleAssignment


def effective_roles(
    session: Session,
    directory: Directory,
    user_id: str,
    *,
    project: tuple[str, str, str | None] | None = None,
    domain_id: str | None = None,
    system: bool = False,
) -> list[str]:
    """Return {name: id} of the roles of *user_id* on one scope: direct, through groups, inherited and implied ones.

    *project* is (id, domain id, parent id). Without a scope the result is empty.
    """
    if project:
        identifier, domain, parent = project
        above = ancestors(session, domain, parent)
        scope: dict[str, Any] = {"kind": "project", "target": identifier, "domain": domain, "above": above}
    elif domain_id or system:
        kind, identifier = ("domain", domain_id) if domain_id else ("system", "all")
        scope = {"kind": kind, "target": identifier, "domain": None, "above": []}
    else:
        return []
    found = session.connection().execute(_HELD, {"user": user_id, **scope}).scalars()
    return directory.with_implied(found)


def assignments_of(user_id: str | BindParameter[str]) -> ColumnElement[bool]:
    """Return the clause for the assignments of *user_id* and of his groups."""
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    return or_(
        and_(RoleAssignment.actor_type == "user", RoleAssignment.actor_id == user_id),
        and_(RoleAssignment.actor_type == "group", RoleAssignment.actor_id.in_(groups)),
    )


def ancestors(session: Session, domain_id: str, parent_id: str | None) -> list[str]:
    """Return the ids of the projects above a project, from its parent upwards, without the domain."""
    above: list[str] = []
    while parent_id and parent_id != domain_id:
        above.append(parent_id)
        parent_id = session.execute(select(Project.parent_id).where(Project.id == parent_id)).scalar()
    return above


def _roles_query() -> Executable:
    """Return the query of the roles of a user on one target, with inherited ones. It is built once: that takes long."""
    target_type, target_id = RoleAssignment.target_type, RoleAssignment.target_id
    own = and_(target_type == bindparam("kind"), target_id == bindparam("target"), RoleAssignment.inherited.is_(False))
    above = or_(
        and_(target_type == "domain", target_id == bindparam("domain")),
        and_(target_type == "project", target_id.in_(bindparam("above", expanding=True))),
    )
    where = or_(own, and_(RoleAssignment.inherited.is_(True), above))
    return select(RoleAssignment.role_id).where(assignments_of(bindparam("user")), where)


_HELD = _roles_query()

"""Which roles a user holds where."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, false, or_, select
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
    """The ids of the roles of *user_id* on one scope, by name: direct, by groups, inherited and implied ones.

    *project* is (id, domain id, parent id). Without any scope there are none.
    """
    if project:
        where = _on_project(session, *project)
    elif domain_id:
        where = _on("domain", domain_id, inherited=False)
    elif system:
        where = _on("system", "all", inherited=False)
    else:
        return []
    found = session.execute(select(RoleAssignment.role_id).where(held_by(user_id), where)).scalars()
    return directory.with_implied(found)


def held_by(user_id: str) -> ColumnElement[bool]:
    """The assignments of *user_id* and of his groups."""
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    return or_(
        and_(RoleAssignment.actor_type == "user", RoleAssignment.actor_id == user_id),
        and_(RoleAssignment.actor_type == "group", RoleAssignment.actor_id.in_(groups)),
    )


def ancestors(session: Session, domain_id: str, parent_id: str | None) -> list[str]:
    """The ids of the projects above one, from its parent upwards; the domain is not one of them."""
    above: list[str] = []
    while parent_id and parent_id != domain_id:
        above.append(parent_id)
        parent_id = session.execute(select(Project.parent_id).where(Project.id == parent_id)).scalar()
    return above


def _on_project(session: Session, project_id: str, domain_id: str, parent_id: str | None) -> ColumnElement[bool]:
    above = ancestors(session, domain_id, parent_id)
    return or_(
        _on("project", project_id, inherited=False),
        _on("domain", domain_id, inherited=True),
        _any_inherited(above) if above else false(),
    )


def _on(target_type: str, target_id: str, *, inherited: bool) -> ColumnElement[bool]:
    return and_(
        RoleAssignment.target_type == target_type,
        RoleAssignment.target_id == target_id,
        RoleAssignment.inherited.is_(inherited),
    )


def _any_inherited(projects: Iterable[str]) -> ColumnElement[bool]:
    return and_(
        RoleAssignment.target_type == "project",
        RoleAssignment.target_id.in_(projects),
        RoleAssignment.inherited.is_(True),
    )

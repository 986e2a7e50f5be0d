"""Deletion of dependent rows, beyond the cascades of foreign keys."""

from collections.abc import Iterable

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from skywright.db.identity import Domain, Group, Project, Role, RoleAssignment, User

Ids = Iterable[str] | Select[str]


def domain(session: Session, row: Domain) -> None:
    """Delete a domain with its projects, users, groups, roles and all their assignments."""
    of_actors(session, "user", select(User.id).where(User.domain_id == row.id))
    of_actors(session, "group", select(Group.id).where(Group.domain_id == row.id))
    projects = select(Project.id).where(Project.domain_id == row.id)
    _of_targets(session, "project", projects)
    _of_targets(session, "domain", [row.id])
    _forget_default_project(session, projects)
    session.execute(delete(Role).where(Role.domain_id == row.id))
    session.delete(row)
    session.flush()


def project(session: Session, row: Project) -> None:
    """Delete a project with its assignments."""
    _of_targets(session, "project", [row.id])
    _forget_default_project(session, [row.id])
    session.delete(row)
    session.flush()


def user(session: Session, row: User) -> None:
    """Delete a user with his assignments, memberships, credentials and trusts."""
    of_actors(session, "user", [row.id])
    session.delete(row)
    session.flush()


def group(session: Session, row: Group) -> None:
    """Delete a group with its assignments and memberships."""
    of_actors(session, "group", [row.id])
    session.delete(row)
    session.flush()


def of_actors(session: Session, actor_type: str, ids: Ids) -> None:
    """Delete all assignments of some users or groups."""
    own = (RoleAssignment.actor_type == actor_type, RoleAssignment.actor_id.in_(ids))
    session.execute(delete(RoleAssignment).where(*own).execution_options(synchronize_session=False))


def _of_targets(session: Session, target_type: str, ids: Ids) -> None:
    own = (RoleAssignment.target_type == target_type, RoleAssignment.target_id.in_(ids))
    session.execute(delete(RoleAssignment).where(*own).execution_options(synchronize_session=False))


def _forget_default_project(session: Session, projects: Ids) -> None:
    change = update(User).where(User.default_project_id.in_(projects)).values(default_project_id=None)
    session.execute(change.execution_options(synchronize_session=False))

"""The hierarchy of projects."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.assignments import ancestors
from skywright.db.identity import Domain, Project
from skywright.http import BadRequest, Context, Forbidden
from skywright.services.identity.common import target
from skywright.services.identity.listing import flag

DEEPEST = 5
View = Callable[[Project], dict[str, Any]]


def descendants(session: Session, projects: Iterable[str]) -> set[str]:
    """Return the ids of all projects below some projects."""
    found: set[str] = set()
    level = set(projects)
    while level:
        level = set(session.execute(select(Project.id).where(Project.parent_id.in_(level))).scalars()) - found
        found |= level
    return found


def check_place(session: Session, domain_id: str, parent_id: str) -> None:
    """Check the place of a new project: domain and parent must exist, the parent be in the domain, and everything
    above the project be enabled.
    """
    domain = session.get(Domain, domain_id)
    if domain is None:
        raise BadRequest(f"Could not find domain: {domain_id}.")
    if parent_id != domain_id:
        parent = session.get(Project, parent_id)
        if parent is None:
            raise BadRequest(f"Could not find project: {parent_id}.")
        if parent.domain_id != domain_id:
            raise BadRequest("A project and its parent must be in the same domain.")
    above = ancestors(session, domain_id, parent_id)
    if disabled := _disabled(session, domain, above):
        raise BadRequest(f"Cannot create a project in a branch containing a disabled project: {disabled}.")
    if len(above) >= DEEPEST:
        raise Forbidden(f"Max hierarchy depth reached: projects are at most {DEEPEST} levels deep.")


def check_switch(session: Session, row: Project, enabled: bool) -> None:
    """Check that an enabled project has only enabled parents, and a disabled one only disabled children."""
    if enabled:
        above = ancestors(session, row.domain_id, row.parent_id)
        if _disabled(session, session.get_one(Domain, row.domain_id), above):
            raise Forbidden(f"Cannot enable project {row.id} since it has disabled parents.")
        return
    below = select(Project.id).where(Project.id.in_(descendants(session, [row.id])), Project.enabled)
    if session.execute(below).first():
        raise Forbidden(f"Cannot disable project {row.id} since its subtree contains enabled projects.")


def _disabled(session: Session, domain: Domain, projects: Iterable[str]) -> str | None:
    """Return the id of the domain, or of one of some projects in it, that is disabled; None if all are enabled."""
    if not domain.enabled:
        return domain.id
    return session.scalar(select(Project.id).where(Project.id.in_(projects), Project.enabled.is_(False)).limit(1))


def family(context: Context, row: Project | Domain, view: View) -> dict[str, Any]:
    """Return what `parents_as_list`, `parents_as_ids`, `subtree_as_list` and `subtree_as_ids` request."""
    for relation in ("parents", "subtree"):
        if flag(context, f"{relation}_as_list") and flag(context, f"{relation}_as_ids"):
            raise BadRequest(f"Use either {relation}_as_list or {relation}_as_ids.")
    session = context.db
    shown: dict[str, Any] = {}
    above = ancestors(session, row.domain_id, row.parent_id) if isinstance(row, Project) else []
    if flag(context, "parents_as_ids"):
        tree: dict[str, Any] | None = {row.domain_id: None} if isinstance(row, Project) else None
        for identifier in reversed(above):
            tree = {identifier: tree}
        shown["parents"] = tree
    if flag(context, "parents_as_list"):
        shown["parents"] = _wrapped(context, above, view)
    if flag(context, "subtree_as_list"):
        shown["subtree"] = _wrapped(context, descendants(session, [row.id]), view)
    if flag(context, "subtree_as_ids"):
        shown["subtree"] = _tree(session, row.id)
    return shown


def _wrapped(context: Context, ids: Iterable[str], view: View) -> list[dict[str, Any]]:
    """Return those of some projects that the caller may see."""
    rows = context.db.scalars(select(Project).where(Project.id.in_(ids)))
    return [{"project": view(row)} for row in rows if context.allows("identity:get_project", target(row))]


def _tree(session: Session, project_id: str) -> dict[str, Any] | None:
    below = descendants(session, [project_id])
    children: dict[str | None, list[str]] = {}
    for identifier, parent in session.execute(select(Project.id, Project.parent_id).where(Project.id.in_(below))):
        children.setdefault(parent, []).append(identifier)

    def branch(identifier: str) -> dict[str, Any] | None:
        return {child: branch(child) for child in children.get(identifier, ())} or None

    return branch(project_id)

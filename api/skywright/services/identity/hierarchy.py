"""The hierarchy of projects."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.assignments import ancestors
from skywright.db.identity import Project
from skywright.http import BadRequest, Context, Forbidden
from skywright.services.identity.common import target

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


def check_parent(session: Session, parent: Project, domain_id: str, enabled: bool) -> None:
    """Refuse a parent in another domain, a disabled parent of an enabled project, and too deep hierarchies."""
    if parent.domain_id != domain_id:
        raise BadRequest("A project and its parent must be in the same domain.")
    if enabled and not parent.enabled:
        raise Forbidden(f"Cannot create an enabled project below the disabled project {parent.id}.")
    if len(ancestors(session, domain_id, parent.id)) + 1 > DEEPEST:
        raise Forbidden(f"Max hierarchy depth reached: projects are at most {DEEPEST} levels deep.")


def check_switch(session: Session, row: Project, enabled: bool) -> None:
    """Check that an enabled project has only enabled parents, and a disabled one only disabled children."""
    above = ancestors(session, row.domain_id, row.parent_id)
    relatives = above if enabled else descendants(session, [row.id])
    query = select(Project.id).where(Project.id.in_(relatives), Project.enabled.is_(not enabled))
    if session.execute(query).first():
        if enabled:
            raise Forbidden(f"Cannot enable project {row.id} since it has disabled parents.")
        raise Forbidden(f"Cannot disable project {row.id} since its subtree contains enabled projects.")


def family(context: Context, row: Project, view: View) -> dict[str, Any]:
    """Return what `parents_as_list`, `parents_as_ids`, `subtree_as_list` and `subtree_as_ids` request."""
    parameters = context.request.query_params
    for relation in ("parents", "subtree"):
        if f"{relation}_as_list" in parameters and f"{relation}_as_ids" in parameters:
            raise BadRequest(f"Use either {relation}_as_list or {relation}_as_ids.")
    session = context.db
    shown: dict[str, Any] = {}
    above = ancestors(session, row.domain_id, row.parent_id)
    if "parents_as_ids" in parameters:
        tree: dict[str, Any] | None = {row.domain_id: None}
        for identifier in reversed(above):
            tree = {identifier: tree}
        shown["parents"] = tree
    if "parents_as_list" in parameters:
        shown["parents"] = _wrapped(context, above, view)
    if "subtree_as_list" in parameters:
        shown["subtree"] = _wrapped(context, descendants(session, [row.id]), view)
    if "subtree_as_ids" in parameters:
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

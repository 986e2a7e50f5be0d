"""`/v3/role_assignments`: the assignments of roles.
https://docs.openstack.org/api-ref/identity/v3/#list-role-assignments
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from skywright.auth.assignments import assignments_of
from skywright.db.identity import Domain, Group, Project, Role, RoleAssignment, User
from skywright.http import BadRequest, Context, Router
from skywright.http.policy import on_target
from skywright.services.identity import hierarchy
from skywright.services.identity.common import exists, reads, target
from skywright.services.identity.effective import HeldRole, expand
from skywright.services.identity.listing import flag, listing

router = Router()
INHERITED, PROJECTS = "scope.OS-INHERIT:inherited_to", "projects"
# An assignment has one actor and one target.
EXCLUSIVE = (
    ("scope.domain", "scope.project"),
    ("scope.system", "scope.domain"),
    ("scope.system", "scope.project"),
    ("user", "group"),
)
NAMED: dict[str, Any] = {
    "user": User,
    "group": Group,
    "project": Project,
    "domain": Domain,
    "role": Role,
}


@reads(
    router,
    "/v3/role_assignments",
    on_target("identity:list_role_assignments", "identity:list_role_assignments_for_tree"),
)
def list_role_assignments(context: Context) -> dict[str, Any]:
    parameters = context.request.query_params
    session = context.db
    effective = flag(context, "effective")
    for one, other in EXCLUSIVE:
        if parameters.get(f"{one}.id", parameters.get(one)) and parameters.get(f"{other}.id", parameters.get(other)):
            raise BadRequest(f"Specify {one.rpartition('.')[2]} or {other.rpartition('.')[2]}, not both")
    if effective and "group.id" in parameters:
        raise BadRequest("Combining effective and group filter will always result in an empty list.")
    if effective and "scope.domain.id" in parameters and parameters.get(INHERITED) == PROJECTS:
        raise BadRequest("Combining effective, domain and inherited filters will always result in an empty list.")
    rows = [_held(row) for row in session.scalars(_candidates(context, effective))]
    held = expand(session, context.cloud.tokens.directory(session), rows) if effective else rows
    projects = _projects(context)
    found = [item for item in held if _matches(context, item, projects)]
    rule = context.rules[flag(context, "include_subtree")]
    if not context.allows(rule, target()):
        # A reader or manager of a domain sees assignments on the domain and on its projects.
        domain = context.caller.domain_id
        context.enforce(rule, target(domain_id=domain))
        own = set(session.scalars(select(Project.id).where(Project.domain_id == domain)))
        found = [item for item in found if item.target == domain or item.target in own]
    names = _Names(session, found) if flag(context, "include_names") else None
    return listing(context, "role_assignments", [_view(context, item, names) for item in found])


def _held(row: RoleAssignment) -> HeldRole:
    return HeldRole(row.role_id, row.actor_type, row.actor_id, row.target_type, row.target_id, row.inherited)


def _candidates(context: Context, effective: bool) -> Select[RoleAssignment]:
    """Return the assignments that may match: only those of the requested user, if there is one."""
    query = select(RoleAssignment)
    user = context.request.query_params.get("user.id")
    if user is None:
        return query
    if effective:
        return query.where(assignments_of(user))
    return query.where(RoleAssignment.actor_type == "user", RoleAssignment.actor_id == user)


def _projects(context: Context) -> set[str] | None:
    """Return the requested project, with those below it if its subtree is requested; None: no filter."""
    project = context.request.query_params.get("scope.project.id")
    if not flag(context, "include_subtree"):
        return None if project is None else {project}
    if project is None:
        raise BadRequest("scope.project.id must be specified if include_subtree is also specified.")
    exists(context.db.get(Project, project), "project", project)
    return {project} | hierarchy.descendants(context.db, [project])


def _matches(context: Context, item: HeldRole, projects: set[str] | None) -> bool:
    parameters = context.request.query_params
    place = (item.target_type, item.target)
    return (
        parameters.get("role.id", item.role) == item.role
        and ("user.id" not in parameters or (item.actor_type, item.actor) == ("user", parameters["user.id"]))
        and ("group.id" not in parameters or (item.actor_type, item.actor) == ("group", parameters["group.id"]))
        and (projects is None or (item.target_type == "project" and item.target in projects))
        and ("scope.domain.id" not in parameters or place == ("domain", parameters["scope.domain.id"]))
        and ("scope.system" not in parameters or item.target_type == "system")
        and (
            INHERITED not in parameters
            or (parameters[INHERITED] == PROJECTS) == (item.inherited or item.source is not None)
        )
    )


class _Names:
    """The names of everything in some assignments, read with few queries."""

    def __init__(self, session: Session, items: Iterable[HeldRole]) -> None:
        wanted: dict[str, set[str]] = {kind: set() for kind in NAMED}
        for item in items:
            wanted["role"].add(item.role)
            wanted[item.actor_type].add(item.actor)
            if item.target_type in wanted:
                wanted[item.target_type].add(item.target)
        self._rows: dict[tuple[str, str], Any] = {}
        for kind, table in NAMED.items():
            for row in session.scalars(select(table).where(table.id.in_(wanted[kind]))):
                self._rows[kind, row.id] = row
        owners = {getattr(row, "domain_id", None) or "" for row in self._rows.values()}
        query = select(Domain.id, Domain.name).where(Domain.id.in_(owners))
        self._domains = {row.id: row.name for row in session.execute(query)}

    def reference(self, kind: str, identifier: str) -> dict[str, Any]:
        """Return `{"id": ..., "name": ..., "domain": {...}}`."""
        row = self._rows.get((kind, identifier))
        if row is None:
            return {"id": identifier}
        shown: dict[str, Any] = {"id": identifier, "name": row.name}
        domain = getattr(row, "domain_id", None)
        if domain:
            shown["domain"] = {"id": domain, "name": self._domains[domain]}
        return shown


def _view(context: Context, item: HeldRole, names: _Names | None) -> dict[str, Any]:
    def reference(kind: str, identifier: str) -> dict[str, Any]:
        return names.reference(kind, identifier) if names else {"id": identifier}

    system = item.target_type == "system"
    scope: dict[str, Any] = {item.target_type: {"all": True} if system else reference(item.target_type, item.target)}
    if item.inherited or item.source:
        scope["OS-INHERIT:inherited_to"] = "projects"
    return {
        "role": reference("role", item.role),
        item.actor_type: reference(item.actor_type, item.actor),
        "scope": scope,
        "links": _links(context, item),
    }


def _links(context: Context, item: HeldRole) -> dict[str, str]:
    """Return links to the assignment, the membership and the implied role that this assignment results from."""
    base = f"{context.base_url}/v3"
    kind, place = item.source or (item.target_type, item.target)
    actor = f"groups/{item.group}" if item.group else f"{item.actor_type}s/{item.actor}"
    where = "system" if kind == "system" else f"{kind}s/{place}"
    role = item.prior or item.role
    if item.inherited or item.source:
        links = {"assignment": f"{base}/OS-INHERIT/{where}/{actor}/roles/{role}/inherited_to_projects"}
    else:
        links = {"assignment": f"{base}/{where}/{actor}/roles/{role}"}
    if item.group:
        links["membership"] = f"{base}/groups/{item.group}/users/{item.actor}"
    if item.prior:
        links["prior_role"] = f"{base}/prior_role/{item.prior}/implies/{item.role}"
    return links

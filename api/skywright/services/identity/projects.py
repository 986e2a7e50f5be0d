"""`/v3/projects`. Domains are also projects that act as domains.
https://docs.openstack.org/api-ref/identity/v3/#projects
"""

from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from skywright.auth.assignments import assignments_of
from skywright.db.identity import Domain, Project, RoleAssignment
from skywright.http import BadRequest, Context, Forbidden, Router, tags
from skywright.http.bodies import Omittable, Strict, checked
from skywright.http.policy import on_target
from skywright.http.service import explain_mistake
from skywright.services.identity import cascade, domains, hierarchy
from skywright.services.identity.common import (
    Body,
    Description,
    Id,
    ShortName,
    caller_domain,
    change_extra,
    fetch,
    flush,
    key_of,
    link,
    reads,
    revoke_tokens,
    target,
)
from skywright.services.identity.listing import page, truth
from skywright.services.identity.options import ResourceOptions, changeable
from skywright.services.identity.tags import Tags

router = Router()
# As a project, a domain has neither a domain nor a parent.
FILTERS_OF_DOMAINS = {**domains.FILTERS, "domain_id": None, "parent_id": None}
FILTERS = {
    "name": Project.name,
    "enabled": Project.enabled,
    "domain_id": Project.domain_id,
    "parent_id": Project.parent_id,
    "id": Project.id,
}


class NewProject(Body):
    name: ShortName
    domain_id: Id | None = None
    parent_id: Id | None = None
    description: Description | None = None
    enabled: bool = True
    is_domain: bool = False
    tags: Tags = []
    options: ResourceOptions = ResourceOptions()


class ProjectChange(Body):
    name: Omittable[ShortName] = None
    domain_id: Id | None = None
    parent_id: Id | None = None
    description: Description | None = None
    enabled: Omittable[bool] = None
    is_domain: Omittable[bool] = None
    tags: Omittable[Tags] = None
    options: ResourceOptions = ResourceOptions()


class CreateProject(Strict):
    project: NewProject


class UpdateProject(Strict):
    project: ProjectChange


def view(context: Context, row: Project | Domain) -> dict[str, Any]:
    """Return the view of a project, or of a domain as a project."""
    own = isinstance(row, Project)
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id if isinstance(row, Project) else None,
        "parent_id": row.parent_id if isinstance(row, Project) else None,
        "is_domain": not own,
        "description": row.description,
        "enabled": row.enabled,
        "tags": row.tags,
        "options": row.options,
        "links": link(context, f"projects/{row.id}"),
    }


@reads(router, "/v3/projects", on_target("identity:list_projects"))
def list_projects(context: Context) -> dict[str, Any]:
    parameters = context.request.query_params
    kind: type[Project] | type[Domain] = Domain if truth(parameters.get("is_domain", "0")) else Project
    query = select(kind)
    if not context.allows("identity:list_projects", target()):
        context.enforce("identity:list_projects", target(domain_id=context.caller.domain_id))
        query = query.where((Project.domain_id if kind is Project else Domain.id) == context.caller.domain_id)
    for name in tags.FILTERS & set(parameters):
        query = query.where(tags.clause(name, parameters[name].split(","), tags.among(kind.tags)))
    filters = FILTERS if kind is Project else FILTERS_OF_DOMAINS
    return page(context, "projects", query, view, order=(kind.name_key, kind.id), filters=filters)


@router.operation(
    "POST", "/v3/projects", policy=on_target("identity:create_project", "identity:create_domain"), status=201
)
def create_project(context: Context, body: CreateProject) -> dict[str, Any]:
    wanted = body.project
    if wanted.is_domain:
        context.enforce("identity:create_domain")
        if wanted.parent_id or wanted.domain_id:
            raise BadRequest("A project that acts as a domain has neither a domain nor a parent.")
        fields = wanted.model_dump(exclude={"domain_id", "parent_id", "is_domain"})
        new = checked(domains.NewDomain.model_validate, fields, explain_mistake, "project")
        return {"project": view(context, domains.add(context.db, new))}
    parent = context.db.get(Project, wanted.parent_id) if wanted.parent_id else None
    domain_id = wanted.domain_id or (parent.domain_id if parent else caller_domain(context, wanted.parent_id))
    context.enforce("identity:create_project", target(project={"domain_id": domain_id}))
    hierarchy.check_place(context.db, domain_id, wanted.parent_id or domain_id)
    row = Project(
        name=wanted.name,
        name_key=key_of(wanted.name),
        domain_id=domain_id,
        parent_id=wanted.parent_id or domain_id,
        description=wanted.description or "",
        enabled=wanted.enabled,
        tags=wanted.tags,
        options=wanted.options.onto({}),
        extra=wanted.unknown,
    )
    context.db.add(row)
    flush(context.db, "project")
    return {"project": view(context, row)}


@reads(router, "/v3/projects/{project_id}", on_target("identity:get_project", "identity:get_domain"))
def show_project(context: Context, project_id: str) -> dict[str, Any]:
    row = _fetch(context, project_id)
    relatives = hierarchy.family(context, row, lambda relative: view(context, relative))
    return {"project": view(context, row) | relatives}


@router.operation(
    "PATCH", "/v3/projects/{project_id}", policy=on_target("identity:update_project", "identity:update_domain")
)
def update_project(context: Context, project_id: str, body: UpdateProject) -> dict[str, Any]:
    wanted = body.project
    row = _fetch(context, project_id)
    _check_place(row, wanted)
    if isinstance(row, Domain):
        fields = wanted.model_dump(exclude_unset=True, exclude={"domain_id", "parent_id", "is_domain"})
        domains.change(context.db, row, domains.DomainChange(**fields))
        return {"project": view(context, row)}
    _change(context.db, row, wanted)
    return {"project": view(context, row)}


@router.operation(
    "DELETE",
    "/v3/projects/{project_id}",
    policy=on_target("identity:delete_project", "identity:delete_domain"),
    status=204,
)
def delete_project(context: Context, project_id: str) -> None:
    row = _fetch(context, project_id)
    if isinstance(row, Domain):
        domains.remove(context.db, row)
        return
    changeable(row, "project")
    if context.db.execute(select(Project.id).where(Project.parent_id == row.id)).first():
        raise Forbidden(f"Cannot delete the project {row.id} since it is not a leaf in the hierarchy.")
    cascade.project(context.db, row)


def of_user(session: Session, user_id: str) -> Select[Any]:
    """Return the projects where a user has a role: direct, through groups, or inherited from above."""
    held = select(RoleAssignment.target_type, RoleAssignment.target_id, RoleAssignment.inherited).where(
        assignments_of(user_id)
    )
    direct: set[str] = set()
    heirs: set[str] = set()
    below: set[str] = set()
    for kind, identifier, inherited in session.execute(held):
        if kind == "domain" and inherited:
            below.add(identifier)
        elif kind == "project":
            (heirs if inherited else direct).add(identifier)
    direct |= hierarchy.descendants(session, heirs)
    return select(Project).where(or_(Project.id.in_(direct), Project.domain_id.in_(below)))


def _fetch(context: Context, identifier: str) -> Project | Domain:
    """Return the project or domain *identifier*, after the corresponding rule of the route was enforced."""
    rule, domain_rule = context.rules
    if context.db.get(Domain, identifier) is not None:
        return fetch(context, Domain, identifier, "domain", domain_rule)
    return fetch(context, Project, identifier, "project", rule)


def _check_place(row: Project | Domain, wanted: ProjectChange) -> None:
    """Refuse changes of a project's domain, parent and `is_domain`."""
    place = (row.domain_id, row.parent_id, False) if isinstance(row, Project) else (None, None, True)
    domain_id, parent_id, is_domain = place
    given = wanted.given()
    if given.get("domain_id", domain_id) != domain_id:
        raise BadRequest("Cannot change Domain ID")
    if given.get("parent_id", parent_id) != parent_id:
        raise Forbidden("Update of `parent_id` is not allowed.")
    if given.get("is_domain", is_domain) != is_domain:
        raise BadRequest("Update of `is_domain` is not allowed.")


def _change(session: Session, row: Project, wanted: ProjectChange) -> None:
    changeable(row, "project", wanted)
    if wanted.enabled is not None and wanted.enabled != row.enabled:
        hierarchy.check_switch(session, row, wanted.enabled)
    if wanted.enabled is False:
        revoke_tokens(row)
    given = wanted.given()
    for name in ("description", "enabled", "tags"):
        if name in given:
            setattr(row, name, "" if given[name] is None else given[name])
    if wanted.name is not None:
        row.name, row.name_key = wanted.name, key_of(wanted.name)
    row.options = wanted.options.onto(row.options)
    change_extra(row, wanted)
    flush(session, "project")

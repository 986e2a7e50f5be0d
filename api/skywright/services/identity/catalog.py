"""The catalog, and the scopes for which a token's user may get a token."""

from typing import Any

from sqlalchemy import select

from skywright.auth.assignments import assignments_of
from skywright.db.identity import Domain, Project, RoleAssignment
from skywright.http import Context, Forbidden, Router
from skywright.services.identity import domains, projects
from skywright.services.identity.common import link, reads
from skywright.services.identity.listing import listing

router = Router()


@reads(router, "/v3/auth/catalog", "identity:get_auth_catalog")
def show_catalog(context: Context) -> dict[str, Any]:
    who = context.caller
    if not (who.project_id or who.domain_id or who.system):
        raise Forbidden("An unscoped token has no catalog.")
    entries = context.cloud.tokens.directory(context.db).catalog(who.user_id, who.project_id)
    return {"catalog": entries, "links": link(context, "auth/catalog")}


@reads(router, "/v3/auth/projects", "identity:get_auth_projects")
def list_own_projects(context: Context) -> dict[str, Any]:
    query = projects.of_user(context.db, context.caller.user_id).where(Project.enabled)
    rows = context.db.scalars(query.order_by(Project.name_key, Project.id))
    return listing(context, "projects", [projects.view(context, row) for row in rows])


@reads(router, "/v3/auth/domains", "identity:get_auth_domains")
def list_own_domains(context: Context) -> dict[str, Any]:
    held = select(RoleAssignment.target_id).where(
        assignments_of(context.caller.user_id),
        RoleAssignment.target_type == "domain",
        RoleAssignment.inherited.is_(False),
    )
    rows = context.db.scalars(select(Domain).where(Domain.id.in_(held), Domain.enabled).order_by(Domain.name_key))
    return listing(context, "domains", [domains.view(context, row) for row in rows])


@reads(router, "/v3/auth/system", "identity:get_auth_system")
def list_own_system(context: Context) -> dict[str, Any]:
    held = select(RoleAssignment.role_id).where(
        assignments_of(context.caller.user_id), RoleAssignment.target_type == "system"
    )
    return listing(context, "system", [{"all": True}] if context.db.execute(held).first() else [])

"""`/v3/roles` and implied roles. https://docs.openstack.org/api-ref/identity/v3/#roles"""

from typing import Any

from fastapi import Response
from sqlalchemy import select

from skywright.db.identity import Domain, ImpliedRole, Role
from skywright.http import BadRequest, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Omittable, Strict
from skywright.http.policy import on_target
from skywright.http.router import json_response
from skywright.services.identity.common import (
    Body,
    Description,
    Id,
    Name,
    change_extra,
    exists,
    fetch,
    flush,
    key_of,
    link,
    reads,
    target,
)
from skywright.services.identity.listing import listing, page
from skywright.services.identity.options import ResourceOptions, changeable

router = Router()


class NewRole(Body):
    name: Name
    domain_id: Id | None = None
    description: Description | None = None
    options: ResourceOptions = ResourceOptions()


class RoleChange(Body):
    name: Omittable[Name] = None
    domain_id: Id | None = None
    description: Description | None = None
    options: ResourceOptions = ResourceOptions()


class CreateRole(Strict):
    role: NewRole


class UpdateRole(Strict):
    role: RoleChange


def view(context: Context, row: Role) -> dict[str, Any]:
    """Return the view of a role."""
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "options": row.options,
        "links": link(context, f"roles/{row.id}"),
    }


@reads(router, "/v3/roles", on_target("identity:list_roles", "identity:list_domain_roles"))
def list_roles(context: Context) -> dict[str, Any]:
    context.enforce(context.rules[bool(context.request.query_params.get("domain_id"))])
    query = select(Role).where(Role.domain_id == (context.request.query_params.get("domain_id") or ""))
    return page(
        context, "roles", query, view, order=(Role.name_key, Role.id), filters={"name": Role.name, "id": Role.id}
    )


@router.operation(
    "POST", "/v3/roles", policy=on_target("identity:create_role", "identity:create_domain_role"), status=201
)
def create_role(context: Context, body: CreateRole) -> dict[str, Any]:
    wanted = body.role
    context.enforce(context.rules[bool(wanted.domain_id)], target(role={"domain_id": wanted.domain_id}))
    if wanted.domain_id:
        exists(context.db.get(Domain, wanted.domain_id), "domain", wanted.domain_id)
    row = Role(
        name=wanted.name,
        name_key=key_of(wanted.name),
        domain_id=wanted.domain_id or "",
        description=wanted.description,
        options=wanted.options.onto({}),
        extra=wanted.unknown,
    )
    context.db.add(row)
    flush(context.db, "role")
    return {"role": view(context, row)}


@reads(router, "/v3/roles/{role_id}", on_target("identity:get_role", "identity:get_domain_role"))
def show_role(context: Context, role_id: str) -> dict[str, Any]:
    return {"role": view(context, _fetch(context, role_id))}


@router.operation(
    "PATCH", "/v3/roles/{role_id}", policy=on_target("identity:update_role", "identity:update_domain_role")
)
def update_role(context: Context, role_id: str, body: UpdateRole) -> dict[str, Any]:
    row, wanted = _fetch(context, role_id), body.role
    changeable(row, "role", wanted)
    if "domain_id" in wanted.model_fields_set and wanted.domain_id != (row.domain_id or None):
        raise BadRequest("Update of `domain_id` is not allowed.")
    if wanted.name is not None:
        row.name, row.name_key = wanted.name, key_of(wanted.name)
    if "description" in wanted.model_fields_set:
        row.description = wanted.description
    row.options = wanted.options.onto(row.options)
    change_extra(row, wanted)
    flush(context.db, "role")
    return {"role": view(context, row)}


@router.operation(
    "DELETE", "/v3/roles/{role_id}", policy=on_target("identity:delete_role", "identity:delete_domain_role"), status=204
)
def delete_role(context: Context, role_id: str) -> None:
    row = _fetch(context, role_id)
    changeable(row, "role")
    context.db.delete(row)


def _fetch(context: Context, role_id: str) -> Role:
    """Return the role, after the route's rule was enforced on it: the rule of global roles or of domain roles."""
    row = context.db.get(Role, role_id)
    return fetch(context, Role, role_id, "role", context.rules[bool(row and row.domain_id)])


def get(context: Context, role_id: str) -> Role:
    """Return the role, or raise NotFound."""
    return exists(context.db.get(Role, role_id), "role", role_id)


@reads(router, "/v3/roles/{prior_id}/implies", "identity:list_implied_roles")
def list_implied(context: Context, prior_id: str) -> dict[str, Any]:
    prior = get(context, prior_id)
    query = select(Role).join(ImpliedRole, ImpliedRole.implied_id == Role.id).where(ImpliedRole.prior_id == prior_id)
    implied = [_brief(context, row) for row in context.db.scalars(query.order_by(Role.name_key))]
    inference = {"prior_role": _brief(context, prior), "implies": implied}
    return {"role_inference": inference, "links": link(context, f"roles/{prior_id}/implies")}


@router.operation("GET", "/v3/roles/{prior_id}/implies/{implied_id}", policy="identity:get_implied_role")
def show_implied(context: Context, prior_id: str, implied_id: str) -> dict[str, Any]:
    _rule(context, prior_id, implied_id)
    return _inference(context, prior_id, implied_id)


@router.operation("HEAD", "/v3/roles/{prior_id}/implies/{implied_id}", policy="identity:check_implied_role", status=204)
def check_implied(context: Context, prior_id: str, implied_id: str) -> None:
    _rule(context, prior_id, implied_id)


@router.operation("PUT", "/v3/roles/{prior_id}/implies/{implied_id}", policy="identity:create_implied_role")
def create_implied(context: Context, prior_id: str, implied_id: str) -> Response:
    prior, implied = get(context, prior_id), get(context, implied_id)
    if implied.name_key == "admin" and not implied.domain_id:
        raise Forbidden("The role admin cannot be implied by another role.")
    if implied.domain_id and not prior.domain_id:
        raise Forbidden("A domain role cannot be implied by a global role.")
    closure = context.cloud.tokens.directory(context.db).implied.get(implied.id, frozenset())
    if prior.id == implied.id or prior.id in closure:
        raise BadRequest("A role cannot imply itself, directly or indirectly.")
    context.db.merge(ImpliedRole(prior_id=prior.id, implied_id=implied.id))
    return json_response(_inference(context, prior_id, implied_id), 201)


@router.operation(
    "DELETE", "/v3/roles/{prior_id}/implies/{implied_id}", policy="identity:delete_implied_role", status=204
)
def delete_implied(context: Context, prior_id: str, implied_id: str) -> None:
    context.db.delete(_rule(context, prior_id, implied_id))


@reads(router, "/v3/role_inferences", "identity:list_role_inference_rules")
def list_inferences(context: Context) -> dict[str, Any]:
    roles = {row.id: row for row in context.db.scalars(select(Role))}
    implied: dict[str, list[dict[str, Any]]] = {}
    for rule in context.db.scalars(select(ImpliedRole)):
        implied.setdefault(rule.prior_id, []).append(_brief(context, roles[rule.implied_id]))
    items = [{"prior_role": _brief(context, roles[prior]), "implies": found} for prior, found in implied.items()]
    return listing(context, "role_inferences", items)


def _brief(context: Context, row: Role) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "links": link(context, f"roles/{row.id}")}


def _inference(context: Context, prior_id: str, implied_id: str) -> dict[str, Any]:
    prior, implied = get(context, prior_id), get(context, implied_id)
    return {
        "role_inference": {"prior_role": _brief(context, prior), "implies": _brief(context, implied)},
        "links": link(context, f"roles/{prior_id}/implies/{implied_id}"),
    }


def _rule(context: Context, prior_id: str, implied_id: str) -> ImpliedRole:
    get(context, prior_id)
    get(context, implied_id)
    row = context.db.get(ImpliedRole, (prior_id, implied_id))
    if row is None:
        raise NotFound(f"Could not find a rule that {prior_id} implies {implied_id}.")
    return row

"""`/v3/OS-TRUST/trusts`: users delegate roles to users.
https://docs.openstack.org/api-ref/identity/v3-ext/#os-trust-api
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from sqlalchemy import select

from skywright.db import isoformat, utcnow
from skywright.db.identity import Project, Role, Trust, User
from skywright.errors import lacking
from skywright.http import Context, Forbidden, NotFound, Router
from skywright.http.bodies import Strict, only_empty
from skywright.http.policy import on_target
from skywright.services.identity import roles
from skywright.services.identity.common import Body, Id, exists, flush, link, reads, target
from skywright.services.identity.delegation import RoleReference, chosen_roles
from skywright.services.identity.listing import listing
from skywright.services.identity.moments import future

router = Router()


NO_REDELEGATION = only_empty(lacking("redelegation of trusts"))


class NewTrust(Body):
    model_config = ConfigDict(extra="forbid")

    trustor_user_id: Id
    trustee_user_id: Id
    impersonation: bool
    project_id: Id | None = None
    roles: list[RoleReference] = []
    expires_at: str | None = None
    remaining_uses: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    allow_redelegation: Annotated[bool | None, NO_REDELEGATION] = None
    redelegation_count: Annotated[Annotated[int, Field(ge=0)] | None, NO_REDELEGATION] = None


class CreateTrust(Strict):
    trust: NewTrust


def view(context: Context, row: Trust) -> dict[str, Any]:
    """Return the list view of a trust, without its roles."""
    return {
        "id": row.id,
        "trustor_user_id": row.trustor_user_id,
        "trustee_user_id": row.trustee_user_id,
        "project_id": row.project_id,
        "impersonation": row.impersonation,
        "expires_at": isoformat(row.expires_at, micro=True),
        "remaining_uses": row.remaining_uses,
        "redelegation_count": 0,
        "redelegated_trust_id": None,
        "deleted_at": None,
        "links": link(context, f"OS-TRUST/trusts/{row.id}"),
    }


def _full(context: Context, row: Trust) -> dict[str, Any]:
    return view(context, row) | {
        "roles": [roles.view(context, role) for role in _roles(context, row)],
        "roles_links": {
            "self": f"{context.base_url}/v3/OS-TRUST/trusts/{row.id}/roles",
            "next": None,
            "previous": None,
        },
    }


@reads(
    router,
    "/v3/OS-TRUST/trusts",
    on_target("identity:list_trusts", "identity:list_trusts_for_trustor", "identity:list_trusts_for_trustee"),
)
def list_trusts(context: Context) -> dict[str, Any]:
    query = select(Trust).where((Trust.expires_at.is_(None)) | (Trust.expires_at > utcnow())).order_by(Trust.id)
    requested = {
        name: context.request.query_params[name]
        for name in ("trustor_user_id", "trustee_user_id")
        if name in context.request.query_params
    }
    party = next((f"_for_{name.removesuffix('_user_id')}" for name in requested), "")
    context.enforce(f"identity:list_trusts{party}", target(trust=requested))
    _refuse_application_credential(context)
    for name, value in requested.items():
        query = query.where(getattr(Trust, name) == value)
    return listing(context, "trusts", [view(context, row) for row in context.db.scalars(query)])


@router.operation("POST", "/v3/OS-TRUST/trusts", policy=on_target("identity:create_trust"), status=201)
def create_trust(context: Context, body: CreateTrust) -> dict[str, Any]:
    wanted = body.trust
    context.enforce("identity:create_trust", target(trust={"trustor_user_id": wanted.trustor_user_id}))
    _refuse_application_credential(context)
    if context.caller.trust_id:
        raise Forbidden("A token of a trust cannot make trusts.")
    if wanted.project_id is None or not wanted.roles:
        raise Forbidden("At least one role should be specified, on a project.")
    expires = future(wanted.expires_at)
    exists(context.db.get(User, wanted.trustee_user_id), "user", wanted.trustee_user_id)
    exists(context.db.get(Project, wanted.project_id), "project", wanted.project_id)
    row = Trust(
        trustor_user_id=wanted.trustor_user_id,
        trustee_user_id=wanted.trustee_user_id,
        project_id=wanted.project_id,
        impersonation=wanted.impersonation,
        role_ids=chosen_roles(context, wanted.trustor_user_id, wanted.project_id, wanted.roles),
        expires_at=expires,
        remaining_uses=wanted.remaining_uses,
    )
    context.db.add(row)
    flush(context.db, "trust")
    return {"trust": _full(context, row)}


@reads(router, "/v3/OS-TRUST/trusts/{trust_id}", on_target("identity:get_trust"))
def show_trust(context: Context, trust_id: str) -> dict[str, Any]:
    return {"trust": _full(context, _fetch(context, trust_id))}


@router.operation("DELETE", "/v3/OS-TRUST/trusts/{trust_id}", policy=on_target("identity:delete_trust"), status=204)
def delete_trust(context: Context, trust_id: str) -> None:
    if context.caller.trust_id:
        raise Forbidden("A token of a trust cannot delete trusts.")
    context.db.delete(_fetch(context, trust_id))


@reads(router, "/v3/OS-TRUST/trusts/{trust_id}/roles", on_target("identity:list_roles_for_trust"))
def list_trust_roles(context: Context, trust_id: str) -> dict[str, Any]:
    row = _fetch(context, trust_id)
    return listing(context, "roles", [roles.view(context, role) for role in _roles(context, row)])


@reads(router, "/v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}", on_target("identity:get_role_for_trust"))
def show_trust_role(context: Context, trust_id: str, role_id: str) -> dict[str, Any]:
    row = _fetch(context, trust_id)
    if role_id not in row.role_ids:
        raise NotFound(f"Could not find role: {role_id}.")
    return {"role": roles.view(context, roles.get(context, role_id))}


def _fetch(context: Context, trust_id: str) -> Trust:
    """Return the trust if it has not expired. For all but its parties and administrators, it does not exist."""
    _refuse_application_credential(context)
    row = context.db.get(Trust, trust_id)
    over = row is not None and row.expires_at is not None and row.expires_at <= utcnow()
    return exists(row if context.allows(context.rules[0], target(row)) and not over else None, "trust", trust_id)


def _refuse_application_credential(context: Context) -> None:
    """Refuse tokens of application credentials, also unrestricted ones: a trust may have roles that they lack."""
    if context.caller.application_credential_id:
        raise Forbidden("A token of an application credential cannot manage trusts.")


def _roles(context: Context, row: Trust) -> list[Role]:
    return list(context.db.scalars(select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name_key)))

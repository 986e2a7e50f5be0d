"""Application credentials and their access rules. https://docs.openstack.org/api-ref/identity/v3/#application-credentials"""

import secrets
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.passwords import hash_password
from skywright.db.identity import AccessRule, ApplicationCredential, Role, User
from skywright.http import BadRequest, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Omittable, Strict
from skywright.http.policy import on_target
from skywright.services.identity.common import (
    Body,
    Description,
    Name,
    Text,
    fetch,
    flush,
    key_of,
    link,
    reads,
)
from skywright.services.identity.delegation import RoleReference, chosen_roles
from skywright.services.identity.listing import page
from skywright.services.identity.moments import future
from skywright.services.identity.users import Password

router = Router()
Path = Annotated[str, StringConstraints(max_length=128, pattern=r"^/[^\x00]*$")]


class NewAccessRule(Strict):
    id: Omittable[Text] = None
    service: Omittable[Annotated[Text, StringConstraints(min_length=1, max_length=64)]] = None
    method: Omittable[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]] = None
    path: Omittable[Path] = None


class NewApplicationCredential(Body):
    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Description | None = None
    secret: Annotated[Password, StringConstraints(min_length=1)] | None = None
    expires_at: str | None = None
    roles: Omittable[list[RoleReference]] = None
    unrestricted: bool | None = None
    access_rules: Omittable[Annotated[list[NewAccessRule], Field(max_length=100)]] = None


class CreateApplicationCredential(Strict):
    application_credential: NewApplicationCredential


def _view(context: Context, row: ApplicationCredential, secret: str | None = None) -> dict[str, Any]:
    roles = context.db.scalars(select(Role).where(Role.id.in_(row.role_ids)).order_by(Role.name_key))
    shown = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "system": None,
        "roles": [{"id": role.id, "name": role.name, "domain_id": None} for role in roles],
        "unrestricted": row.unrestricted,
        # Keystone's format of this time has no Z.
        "expires_at": row.expires_at.isoformat(timespec="microseconds") if row.expires_at else None,
        "links": link(context, f"users/{row.user_id}/application_credentials/{row.id}"),
    }
    if row.access_rule_ids:
        rules = context.db.scalars(select(AccessRule).where(AccessRule.id.in_(row.access_rule_ids)))
        shown["access_rules"] = [_view_rule(rule) for rule in rules]
    return shown | ({"secret": secret} if secret is not None else {})


def _view_rule(rule: AccessRule) -> dict[str, Any]:
    return {"id": rule.id, "service": rule.service, "method": rule.method, "path": rule.path}


@reads(router, "/v3/users/{user_id}/application_credentials", on_target("identity:list_application_credentials"))
def list_application_credentials(context: Context, user_id: str) -> dict[str, Any]:
    _user(context, user_id)
    query = select(ApplicationCredential).where(ApplicationCredential.user_id == user_id)
    order, filters = (ApplicationCredential.name_key, ApplicationCredential.id), {"name": ApplicationCredential.name}
    return page(context, "application_credentials", query, _view, order=order, filters=filters)


@router.operation(
    "POST",
    "/v3/users/{user_id}/application_credentials",
    policy=on_target("identity:create_application_credential"),
    status=201,
    write=False,
)
def create_application_credential(context: Context, user_id: str, body: CreateApplicationCredential) -> dict[str, Any]:
    wanted, who = body.application_credential, context.caller
    _user(context, user_id)
    _allowed(context)
    if who.project_id is None:
        raise BadRequest("An application credential is made with a token scoped to a project.")
    secret = wanted.secret if wanted.secret is not None else secrets.token_urlsafe(48)
    row = ApplicationCredential(
        user_id=user_id,
        project_id=who.project_id,
        name=wanted.name,
        name_key=key_of(wanted.name),
        description=wanted.description,
        secret_hash=hash_password(secret),
        role_ids=_roles(context, wanted.roles),
        unrestricted=bool(wanted.unrestricted),
        expires_at=future(wanted.expires_at),
    )
    with context.writing() as session:
        if wanted.access_rules:
            row.access_rule_ids = [_rule(session, user_id, rule).id for rule in wanted.access_rules]
        session.add(row)
        flush(session, "application credential")
    with context.cloud.database.read() as session:
        context.db = session
        return {"application_credential": _view(context, row, secret)}


@reads(
    router,
    "/v3/users/{user_id}/application_credentials/{credential_id}",
    on_target("identity:get_application_credential"),
)
def show_application_credential(context: Context, user_id: str, credential_id: str) -> dict[str, Any]:
    row = _fetch(context, user_id, credential_id)
    return {"application_credential": _view(context, row)}


@router.operation(
    "DELETE",
    "/v3/users/{user_id}/application_credentials/{credential_id}",
    policy=on_target("identity:delete_application_credential"),
    status=204,
)
def delete_application_credential(context: Context, user_id: str, credential_id: str) -> None:
    row = _fetch(context, user_id, credential_id)
    _allowed(context)
    context.db.delete(row)


@reads(router, "/v3/users/{user_id}/access_rules", on_target("identity:list_access_rules"))
def list_access_rules(context: Context, user_id: str) -> dict[str, Any]:
    _user(context, user_id)
    filters = {"service": AccessRule.service, "method": AccessRule.method, "path": AccessRule.path}
    query = select(AccessRule).where(AccessRule.user_id == user_id)
    return page(
        context, "access_rules", query, lambda _, rule: _view_rule(rule), order=(AccessRule.id,), filters=filters
    )


@reads(router, "/v3/users/{user_id}/access_rules/{rule_id}", on_target("identity:get_access_rule"))
def show_access_rule(context: Context, user_id: str, rule_id: str) -> dict[str, Any]:
    _user(context, user_id)
    return {"access_rule": _view_rule(_own_rule(context.db, user_id, rule_id))}


@router.operation(
    "DELETE", "/v3/users/{user_id}/access_rules/{rule_id}", policy=on_target("identity:delete_access_rule"), status=204
)
def delete_access_rule(context: Context, user_id: str, rule_id: str) -> None:
    _user(context, user_id)
    rule = _own_rule(context.db, user_id, rule_id)
    query = select(ApplicationCredential).where(ApplicationCredential.user_id == user_id)
    if any(rule_id in (row.access_rule_ids or ()) for row in context.db.scalars(query)):
        raise Forbidden(f"The access rule {rule_id} is used by an application credential.")
    context.db.delete(rule)


def _user(context: Context, user_id: str) -> None:
    """Enforce the route's rule on the user. Refuse tokens of trusts: they would see, or outlive, their delegation."""
    fetch(context, User, user_id, "user")
    if context.caller.trust_id:
        raise Forbidden("A token of a trust cannot manage application credentials.")


def _allowed(context: Context) -> None:
    """Refuse tokens of restricted application credentials, which must not create others."""
    if not context.caller.unrestricted:
        raise Forbidden("Using this method with a restricted application credential is not allowed.")


def _roles(context: Context, wanted: list[RoleReference] | None) -> list[str]:
    """Return the requested roles, by default all of the token's. The token must have them."""
    who = context.caller
    assert who.project_id
    chosen = chosen_roles(context, who.user_id, who.project_id, wanted or None)
    names = context.cloud.tokens.directory(context.db).role_names
    held = [role for role in chosen if names[role] in who.roles]
    if wanted and held != chosen:
        raise Forbidden("Some of the roles are not among the token's.")
    if not held:
        raise BadRequest("An application credential has at least one role.")
    return held


def _fetch(context: Context, user_id: str, credential_id: str) -> ApplicationCredential:
    _user(context, user_id)
    row = context.db.get(ApplicationCredential, credential_id)
    if row is None or row.user_id != user_id:
        raise NotFound(f"Could not find application credential: {credential_id}.")
    return row


def _own_rule(session: Session, user_id: str, rule_id: str) -> AccessRule:
    rule = session.get(AccessRule, rule_id)
    if rule is None or rule.user_id != user_id:
        raise NotFound(f"Could not find access rule: {rule_id}.")
    return rule


def _rule(session: Session, user_id: str, wanted: NewAccessRule) -> AccessRule:
    """Return an access rule of the user: the one with the id, an equal one, or a new one."""
    if wanted.id:
        return _own_rule(session, user_id, wanted.id)
    if not (wanted.service and wanted.method and wanted.path):
        raise BadRequest("An access rule has a service, a method and a path.")
    columns = {"user_id": user_id, "service": wanted.service, "method": wanted.method, "path": wanted.path}
    rule = session.scalar(select(AccessRule).filter_by(**columns))
    if rule is None:
        rule = AccessRule(**columns)
        session.add(rule)
        flush(session, "access rule")
    return rule

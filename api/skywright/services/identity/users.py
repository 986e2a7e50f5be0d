"""`/v3/users`. Passwords are hashed before the transaction begins, because bcrypt takes long.

https://docs.openstack.org/api-ref/identity/v3/#users
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.passwords import MAX_BYTES, check_password, hash_password
from skywright.db.identity import Domain, Project, User
from skywright.http import BadRequest, Context, Router, Unauthorized
from skywright.http.bodies import Omittable, Strict
from skywright.http.policy import on_target
from skywright.services.identity import cascade, projects
from skywright.services.identity.common import (
    Body,
    Id,
    Name,
    Text,
    caller_domain,
    change_extra,
    exists,
    fetch,
    flush,
    key_of,
    link,
    reads,
    revoke_tokens,
    target,
)
from skywright.services.identity.listing import page
from skywright.services.identity.options import UserOptions

router = Router()
# Passwords do not expire, and there are no identity providers.
FOREIGN = dict.fromkeys(("password_expires_at", "idp_id", "protocol_id", "unique_id"))
FILTERS = {"name": User.name, "enabled": User.enabled, "domain_id": User.domain_id, "id": User.id, **FOREIGN}


def _short_enough(password: str) -> str:
    if len(password.encode()) > MAX_BYTES:
        raise ValueError(f"Passwords have at most {MAX_BYTES} bytes.")
    return password


Password = Annotated[Text, AfterValidator(_short_enough)]


class NewUser(Body):
    name: Name
    domain_id: Omittable[Id] = None
    default_project_id: Id | None = None
    enabled: bool = True
    password: Password | None = None
    options: UserOptions = UserOptions()


class UserChange(Body):
    name: Omittable[Name] = None
    domain_id: Omittable[Id] = None
    default_project_id: Id | None = None
    enabled: Omittable[bool] = None
    password: Password | None = None  # null removes the password
    options: UserOptions = UserOptions()


class PasswordChange(BaseModel):
    original_password: Text
    password: Password


class CreateUser(Strict):
    user: NewUser


class UpdateUser(Strict):
    user: UserChange


class ChangePassword(Strict):
    user: PasswordChange


def view(context: Context, row: User) -> dict[str, Any]:
    """Return the view of a user."""
    shown = {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "options": row.options,
        "password_expires_at": None,
        "links": link(context, f"users/{row.id}"),
    }
    if row.default_project_id:
        shown["default_project_id"] = row.default_project_id
    return shown


@reads(router, "/v3/users", on_target("identity:list_users"))
def list_users(context: Context) -> dict[str, Any]:
    query = select(User)
    if not context.allows("identity:list_users", target()):
        # A reader or manager of a domain sees only users of that domain.
        context.enforce("identity:list_users", target(domain_id=context.caller.domain_id))
        query = query.where(User.domain_id == context.caller.domain_id)
    filters = {**FILTERS, "default_project_id": User.default_project_id}
    return page(context, "users", query, view, order=(User.name_key, User.id), filters=filters)


@router.operation("POST", "/v3/users", policy=on_target("identity:create_user"), status=201, write=False)
def create_user(context: Context, body: CreateUser) -> dict[str, Any]:
    wanted = body.user
    domain_id = caller_domain(context, wanted.domain_id)
    context.enforce("identity:create_user", target(user={"domain_id": domain_id}))
    hashed = hash_password(wanted.password) if wanted.password is not None else None
    with context.writing() as session:
        exists(session.get(Domain, domain_id), "domain", domain_id)
        _check_default_project(session, wanted.default_project_id)
        row = User(
            name=wanted.name,
            name_key=key_of(wanted.name),
            domain_id=domain_id,
            default_project_id=wanted.default_project_id,
            enabled=wanted.enabled,
            password_hash=hashed,
            options=wanted.options.onto({}),
            extra=wanted.unknown,
        )
        session.add(row)
        flush(session, "user")
        return {"user": view(context, row)}


@reads(router, "/v3/users/{user_id}", on_target("identity:get_user"))
def show_user(context: Context, user_id: str) -> dict[str, Any]:
    return {"user": view(context, fetch(context, User, user_id, "user"))}


@router.operation("PATCH", "/v3/users/{user_id}", policy=on_target("identity:update_user"), write=False)
def update_user(context: Context, user_id: str, body: UpdateUser) -> dict[str, Any]:
    wanted = body.user
    current = fetch(context, User, user_id, "user")
    if wanted.domain_id not in (None, current.domain_id):
        raise BadRequest("Cannot change Domain ID")
    hashed = hash_password(wanted.password) if wanted.password is not None else None
    with context.writing() as session:
        row = exists(session.get(User, user_id), "user", user_id)
        _change(session, row, wanted, hashed)
        return {"user": view(context, row)}


@router.operation("DELETE", "/v3/users/{user_id}", policy=on_target("identity:delete_user"), status=204)
def delete_user(context: Context, user_id: str) -> None:
    cascade.user(context.db, fetch(context, User, user_id, "user"))


@router.operation("POST", "/v3/users/{user_id}/password", policy=None, status=204, write=False)
def change_password(context: Context, user_id: str, body: ChangePassword) -> None:
    """Change the password. The original password is the proof: as in Keystone, no token is needed."""
    change = body.user
    row = context.db.get(User, user_id)
    domain = context.db.get(Domain, row.domain_id) if row else None
    right = check_password(change.original_password, row.password_hash if row else None)
    if not right or row is None or not row.enabled or domain is None or not domain.enabled:
        raise Unauthorized()
    if row.options.get("lock_password"):
        raise BadRequest("You cannot change your password: an administrator locked it.")
    hashed = hash_password(change.password)
    with context.writing() as session:
        current = session.get(User, user_id)
        # If the password was changed since the proof, that change is kept.
        if current is None or current.password_hash != row.password_hash:
            raise Unauthorized()
        current.password_hash = hashed
        revoke_tokens(current)


@reads(router, "/v3/users/{user_id}/projects", on_target("identity:list_user_projects"))
def list_user_projects(context: Context, user_id: str) -> dict[str, Any]:
    fetch(context, User, user_id, "user")
    order, filters = (Project.name_key, Project.id), projects.FILTERS
    return page(context, "projects", projects.of_user(context.db, user_id), projects.view, order=order, filters=filters)


def _check_default_project(session: Session, project_id: str | None) -> None:
    """Refuse a domain; a project need not exist yet, as in Keystone."""
    if project_id and session.get(Domain, project_id) is not None:
        raise BadRequest(f"User's default project ID cannot be a domain ID: {project_id}.")


def _change(session: Session, row: User, wanted: UserChange, hashed: str | None) -> None:
    """Apply *wanted*. A new password, or disabling the user, revokes all his tokens."""
    if wanted.name is not None:
        row.name, row.name_key = wanted.name, key_of(wanted.name)
    if "default_project_id" in wanted.model_fields_set:
        _check_default_project(session, wanted.default_project_id)
        row.default_project_id = wanted.default_project_id
    if wanted.enabled is not None:
        row.enabled = wanted.enabled
    row.options = wanted.options.onto(row.options)
    if "password" in wanted.model_fields_set:
        row.password_hash = hashed
    if "password" in wanted.model_fields_set or wanted.enabled is False:
        revoke_tokens(row)
    change_extra(row, wanted)
    flush(session, "user")

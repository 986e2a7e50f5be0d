"""`/v3/auth/tokens`: issue, validate, revoke. https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management"""

from datetime import timedelta
from typing import Any, TypeVar

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth import assignments
from skywright.auth.passwords import check_password
from skywright.auth.tokens import revoke, scoped
from skywright.db import isoformat, utcnow
from skywright.db.identity import Domain, Project, User
from skywright.http import Context, NotFound, Router, Unauthorized
from skywright.http.context import Credentials
from skywright.http.router import json_response
from skywright.services.identity.catalog import catalog

router = Router()
Row = TypeVar("Row")


class Reference(BaseModel):
    """A domain by id or name."""

    id: str | None = None
    name: str | None = None


class OwnedReference(Reference):
    """A user or project by id, or by name and domain."""

    domain: Reference | None = None


class UserPassword(OwnedReference):
    password: str


class PasswordMethod(BaseModel):
    user: UserPassword


class TokenMethod(BaseModel):
    id: str


class Identity(BaseModel):
    methods: list[str] = Field(min_length=1)
    password: PasswordMethod | None = None
    token: TokenMethod | None = None


class Scope(BaseModel):
    model_config = ConfigDict(extra="forbid")
    project: OwnedReference | None = None
    domain: Reference | None = None
    system: dict[str, bool] | None = None


class Auth(BaseModel):
    identity: Identity
    scope: Scope | str | None = None


class AuthRequest(BaseModel):
    auth: Auth


@router.operation("POST", "/v3/auth/tokens", policy=None, status=201, write=False)
def create_token(context: Context, body: AuthRequest, nocatalog: str | None = None) -> Response:
    credentials = authenticate(context, body.auth)
    return _answer(
        context, credentials, 201, token=context.cloud.tokens.issue(credentials), brief=nocatalog is not None
    )


@router.operation("GET", "/v3/auth/tokens", policy="identity:validate_token")
def show_token(context: Context, nocatalog: str | None = None) -> Response:
    credentials = _subject(context)
    return _answer(context, credentials, 200, brief=nocatalog is not None)


@router.operation("HEAD", "/v3/auth/tokens", policy="identity:validate_token")
def check_token(context: Context) -> Response:
    _subject(context)
    return Response(status_code=200)


@router.operation("DELETE", "/v3/auth/tokens", policy="identity:revoke_token", status=204)
def revoke_token(context: Context) -> None:
    revoke(context.db, _subject(context))


def authenticate(context: Context, auth: Auth) -> Credentials:
    """The credentials that *auth* asks for; Unauthorized when anything of it is wrong, without saying what."""
    user, methods, expires = _user(context, auth.identity)
    project, domain, system = _scope(context.db, user, auth.scope)
    credentials = scoped(
        context.db,
        user,
        project_id=project,
        domain_id=domain,
        system=system,
        methods=methods,
        issued_at=utcnow(),
        expires_at=expires or utcnow() + timedelta(seconds=context.cloud.settings.token_seconds),
    )
    if credentials is None:
        raise Unauthorized()
    return credentials


def _user(context: Context, identity: Identity) -> tuple[User, tuple[str, ...], Any]:
    if identity.methods == ["password"] and identity.password:
        wanted = identity.password.user
        user = find_user(context.db, wanted)
        right = check_password(wanted.password, user.password_hash if user else None)
        if user is None or not right or not _active(context.db, user):
            raise Unauthorized()
        return user, ("password",), None
    if identity.methods == ["token"] and identity.token:
        old = context.cloud.tokens.validate(context.db, identity.token.id)
        user = context.db.get(User, old.user_id) if old else None
        if old is None or user is None:
            raise Unauthorized()
        return user, tuple(dict.fromkeys((*old.methods, "token"))), old.expires_at
    raise Unauthorized()


def _active(session: Session, user: User) -> bool:
    domain = session.get(Domain, user.domain_id)
    return user.enabled and domain is not None and domain.enabled


def _scope(session: Session, user: User, scope: Scope | str | None) -> tuple[str | None, str | None, bool]:
    """(project id, domain id, system) of the wanted scope; without one, the user's default project if it works."""
    if scope is None:
        project = user.default_project_id
        held = project and assignments.effective_roles(
            session, user.id, project_id=project, domain_id=None, system=False
        )
        return (project if held else None), None, False
    if isinstance(scope, str):
        if scope != "unscoped":
            raise Unauthorized()
        return None, None, False
    if scope.system:
        return None, None, True
    if scope.domain:
        return None, found(find_domain(session, scope.domain)).id, False
    if scope.project:
        return found(find_project(session, scope.project)).id, None, False
    raise Unauthorized()


def found(row: Row | None) -> Row:
    """*row*, or Unauthorized: a caller who is not in may not learn what exists."""
    if row is None:
        raise Unauthorized()
    return row


def find_domain(session: Session, wanted: Reference | None) -> Domain | None:
    """The domain that *wanted* names by id, or by name without regard to case."""
    if wanted is None:
        return None
    if wanted.id:
        return session.get(Domain, wanted.id)
    return session.scalar(select(Domain).where(Domain.name_key == (wanted.name or "").casefold()))


def find_user(session: Session, wanted: OwnedReference) -> User | None:
    """The user that *wanted* names by id, or by name and domain."""
    if wanted.id:
        return session.get(User, wanted.id)
    domain = find_domain(session, wanted.domain)
    key = (wanted.name or "").casefold()
    if domain is None:
        return None
    return session.scalar(select(User).where(User.domain_id == domain.id, User.name_key == key))


def find_project(session: Session, wanted: OwnedReference) -> Project | None:
    """The project that *wanted* names by id, or by name and domain."""
    if wanted.id:
        return session.get(Project, wanted.id)
    domain = find_domain(session, wanted.domain)
    key = (wanted.name or "").casefold()
    query = select(Project).where(Project.domain_id == (domain and domain.id), Project.name_key == key)
    return session.scalar(query)


def _subject(context: Context) -> Credentials:
    """The credentials of X-Subject-Token; anyone may look at his own, administrators at all."""
    subject = context.cloud.tokens.validate(context.db, context.request.headers.get("x-subject-token"))
    if subject is None:
        raise NotFound("Failed to validate token")
    if subject.user_id != context.who.user_id:
        context.enforce("identity:any_token")
    return subject


def _answer(
    context: Context, credentials: Credentials, status: int, *, token: str | None = None, brief: bool = False
) -> Response:
    body = describe(context, credentials)
    if not brief and (credentials.project_id or credentials.domain_id or credentials.system):
        body["catalog"] = catalog(context.db, credentials.project_id)
    response = json_response({"token": body}, status)
    response.headers["X-Subject-Token"] = token or context.request.headers["x-subject-token"]
    response.headers["Vary"] = "X-Auth-Token"
    return response


def describe(context: Context, credentials: Credentials) -> dict[str, Any]:
    """The `token` object of *credentials*, without its catalog."""
    session = context.db
    body: dict[str, Any] = {
        "methods": list(credentials.methods),
        "audit_ids": [credentials.audit_id],
        "issued_at": isoformat(credentials.issued_at, micro=True),
        "expires_at": isoformat(credentials.expires_at, micro=True),
        "is_domain": False,
        "user": {
            "id": credentials.user_id,
            "name": credentials.user_name,
            "password_expires_at": None,
            "domain": _domain(session, credentials.user_domain_id),
        },
    }
    project = session.get(Project, credentials.project_id) if credentials.project_id else None
    if project:
        body["project"] = {
            "id": project.id,
            "name": project.name,
            "domain": _domain(session, project.domain_id),
        }
    elif credentials.domain_id:
        body["domain"] = _domain(session, credentials.domain_id)
    elif credentials.system:
        body["system"] = {"all": True}
    if credentials.roles:
        roles = assignments.effective_roles(
            session,
            credentials.user_id,
            project_id=credentials.project_id,
            domain_id=credentials.domain_id,
            system=credentials.system,
        )
        body["roles"] = [{"id": role.id, "name": role.name} for role in roles]
    return body


def _domain(session: Session, domain_id: str) -> dict[str, str]:
    domain = session.get_one(Domain, domain_id)
    return {"id": domain.id, "name": domain.name}

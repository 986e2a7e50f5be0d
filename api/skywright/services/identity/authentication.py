"""Authentication for `POST /v3/auth/tokens`: its body becomes the claims of a token. All failures give the same 401."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.passwords import check_password
from skywright.auth.subject import Claims, Subject
from skywright.db import utcnow
from skywright.db.identity import ApplicationCredential, Trust, User
from skywright.http import Context, Forbidden, Unauthorized
from skywright.http.bodies import Omittable
from skywright.services.identity.common import Text, key_of
from skywright.services.identity.find import OwnedReference, Reference, find_domain, find_project, find_user
from skywright.services.identity.options import suffices


class UserPassword(OwnedReference):
    password: Text


class PasswordMethod(BaseModel):
    user: UserPassword


class TokenMethod(BaseModel):
    id: Text


class ApplicationCredentialMethod(BaseModel):
    id: Omittable[Text] = None
    name: Omittable[Text] = None
    user: Omittable[OwnedReference] = None
    secret: Text

    @model_validator(mode="after")
    def _named(self) -> "ApplicationCredentialMethod":
        if not self.id and (not self.name or self.user is None):
            raise ValueError("Expecting to find id, or name and user.")
        return self


class Identity(BaseModel):
    methods: list[str] = Field(min_length=1, max_length=8)
    password: Omittable[PasswordMethod] = None
    token: Omittable[TokenMethod] = None
    application_credential: Omittable[ApplicationCredentialMethod] = None

    @model_validator(mode="after")
    def _complete(self) -> "Identity":
        missing = [name for name in self.methods if name in _METHODS and getattr(self, name) is None]
        if missing:
            raise ValueError(f"Expecting to find {missing[0]}, which is one of the methods.")
        return self


class TrustReference(BaseModel):
    id: Text


class Scope(BaseModel):
    model_config = ConfigDict(extra="forbid")
    project: Omittable[OwnedReference] = None
    domain: Omittable[Reference] = None
    system: Omittable[dict[str, bool]] = None
    unscoped: Omittable[dict[str, Any]] = None
    trust: Omittable[TrustReference] = Field(None, alias="OS-TRUST:trust")

    @model_validator(mode="after")
    def _one(self) -> "Scope":
        if len(self.model_fields_set) != 1:
            raise ValueError("There must be exactly one scope.")
        return self


class Auth(BaseModel):
    identity: Identity
    scope: Omittable[Scope | str] = None


class AuthRequest(BaseModel):
    auth: Auth


@dataclass(frozen=True)
class Proof:
    """What the methods of one request proved: a user, and limits that a new token must keep."""

    user_id: str
    default_project_id: str | None = None
    expires_at: datetime | None = None
    parent_audit_id: str | None = None
    methods: tuple[str, ...] = ()
    application_credential: ApplicationCredential | None = None


def authenticate(context: Context, auth: Auth) -> Subject:
    """Return the subject of a new token for *auth*. Raises Unauthorized without a reason if anything is wrong."""
    proof = _prove(context, auth.identity)
    now = utcnow()
    claims = Claims(
        user_id=proof.user_id,
        audit_ids=tuple(filter(None, (secrets.token_urlsafe(16), proof.parent_audit_id))),
        issued_at=now,
        expires_at=proof.expires_at or now + timedelta(seconds=context.cloud.settings.token_seconds),
        methods=proof.methods,
    )
    if proof.application_credential:
        if auth.scope is not None:
            raise Unauthorized("Application credentials cannot request a scope.")
        credential = proof.application_credential
        scoped = replace(claims, project_id=credential.project_id, application_credential_id=credential.id)
        return _valid_subject(context, scoped)
    if auth.scope is None:
        return _on_default_project(context, claims, proof.default_project_id)
    return _valid_subject(context, _with_scope(context.db, claims, auth.scope))


def _valid_subject(context: Context, claims: Claims) -> Subject:
    subject = context.cloud.tokens.subject(context.db, claims)
    if subject is None:
        raise Unauthorized()
    return subject


def _on_default_project(context: Context, claims: Claims, project_id: str | None) -> Subject:
    """Return the subject without a requested scope: with the default project if the user has a role there."""
    if project_id:
        scoped = replace(claims, project_id=project_id)
        subject = context.cloud.tokens.subject(context.db, scoped)
        if subject is not None:
            return subject
    return _valid_subject(context, claims)


def _prove(context: Context, identity: Identity) -> Proof:
    """Return what all methods of *identity* prove; they must prove the same user."""
    proofs = [_METHODS[name](context, identity) for name in identity.methods if name in _METHODS]
    if len(proofs) != len(identity.methods) or len({proof.user_id for proof in proofs}) != 1:
        raise Unauthorized()
    methods = tuple(dict.fromkeys(name for proof in proofs for name in proof.methods))
    user = context.db.get(User, proofs[0].user_id)
    if user is None or not suffices(user, methods, _METHODS):
        raise Unauthorized()
    ends = [proof.expires_at for proof in proofs if proof.expires_at]
    return Proof(
        user_id=proofs[0].user_id,
        default_project_id=proofs[0].default_project_id,
        expires_at=min(ends, default=None),
        parent_audit_id=next((proof.parent_audit_id for proof in proofs if proof.parent_audit_id), None),
        methods=methods,
        application_credential=next((p.application_credential for p in proofs if p.application_credential), None),
    )


def _by_password(context: Context, identity: Identity) -> Proof:
    assert identity.password is not None  # it is one of the methods
    wanted = identity.password.user
    user = find_user(context.db, wanted)
    # An unknown user, or one without a password, takes as long as a wrong password.
    if not check_password(wanted.password, user.password_hash if user else None) or user is None:
        raise Unauthorized()
    return Proof(user.id, user.default_project_id, methods=("password",))


def _by_token(context: Context, identity: Identity) -> Proof:
    assert identity.token is not None
    subject = context.cloud.tokens.inspect(context.db, identity.token.id)
    user = context.db.get(User, subject.claims.user_id) if subject else None
    if subject is None or user is None:
        raise Unauthorized()
    claims = subject.claims
    if claims.trust_id or claims.application_credential_id:
        raise Forbidden("A token of a trust or an application credential cannot be used to get another token.")
    return Proof(
        claims.user_id, user.default_project_id, claims.expires_at, claims.audit_ids[0], (*claims.methods, "token")
    )


def _by_application_credential(context: Context, identity: Identity) -> Proof:
    wanted = identity.application_credential
    assert wanted is not None
    row = _application_credential(context.db, wanted)
    if not check_password(wanted.secret, row.secret_hash if row else None) or row is None:
        raise Unauthorized()
    return Proof(row.user_id, None, row.expires_at, methods=("application_credential",), application_credential=row)


def _application_credential(session: Session, wanted: ApplicationCredentialMethod) -> ApplicationCredential | None:
    if wanted.id:
        return session.get(ApplicationCredential, wanted.id)
    user = find_user(session, wanted.user) if wanted.user else None
    if user is None:
        return None
    query = select(ApplicationCredential).where(
        ApplicationCredential.user_id == user.id, ApplicationCredential.name_key == key_of(wanted.name or "")
    )
    return session.scalar(query)


_METHODS = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_application_credential,
}


def _with_scope(session: Session, claims: Claims, scope: Scope | str) -> Claims:
    """Return *claims* with the requested scope."""
    if isinstance(scope, str):
        if scope != "unscoped":
            raise Unauthorized()
        return claims
    if scope.unscoped is not None:
        return claims
    if scope.system is not None:
        if not scope.system.get("all"):
            raise Unauthorized()
        return replace(claims, system=True)
    if scope.domain:
        domain = find_domain(session, scope.domain)
        if domain is None:
            raise Unauthorized()
        return replace(claims, domain_id=domain.id)
    if scope.project:
        project = find_project(session, scope.project)
        if project is None:
            raise Unauthorized()
        return replace(claims, project_id=project.id)
    return _through_trust(session, claims, scope.trust.id if scope.trust else "")


def _through_trust(session: Session, claims: Claims, trust_id: str) -> Claims:
    """Return *claims* of the trustee with the trust: its project, and the trustor's identity if it impersonates."""
    trust = session.get(Trust, trust_id)
    if trust is None or trust.remaining_uses == 0:
        raise Unauthorized()
    if trust.trustee_user_id != claims.user_id:
        raise Forbidden()
    ends = min(claims.expires_at, trust.expires_at) if trust.expires_at else claims.expires_at
    user = trust.trustor_user_id if trust.impersonation else trust.trustee_user_id
    return replace(claims, user_id=user, expires_at=ends, project_id=trust.project_id, trust_id=trust.id)

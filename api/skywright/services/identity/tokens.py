"""`/v3/auth/tokens`: issue, validate, revoke. https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management"""

from typing import Any

from fastapi import Response
from sqlalchemy import update

from skywright.auth.subject import Subject
from skywright.auth.tokens import revoke
from skywright.db import isoformat
from skywright.db.identity import Trust
from skywright.http import Context, NotFound, Router, Unauthorized
from skywright.http.fields import boolean
from skywright.http.policy import on_target
from skywright.http.router import json_response
from skywright.services.identity.authentication import AuthRequest, authenticate
from skywright.services.identity.common import target

router = Router()


@router.operation("POST", "/v3/auth/tokens", policy=None, status=201, write=False)
def create_token(context: Context, body: AuthRequest, nocatalog: str | None = None) -> Response:
    context.refuse_plan("tokens are issued at once.")
    subject = authenticate(context, body.auth)
    context.set_audit_credentials(subject.credentials)
    if subject.claims.trust_id:
        _count_use(context, subject.claims.trust_id)
    token = context.cloud.tokens.issue(subject.claims)
    return _answer(context, subject, token, 201, brief=nocatalog is not None)


@router.operation("HEAD", "/v3/auth/tokens", policy=on_target("identity:check_token"))
@router.operation("GET", "/v3/auth/tokens", policy=on_target("identity:validate_token"))
def show_token(context: Context, nocatalog: str | None = None, allow_expired: str = "") -> Response:
    subject = _subject(context, allow_expired=boolean(allow_expired, default=False))
    return _answer(context, subject, context.request.headers["x-subject-token"], 200, brief=nocatalog is not None)


@router.operation("DELETE", "/v3/auth/tokens", policy=on_target("identity:revoke_token"), status=204)
def revoke_token(context: Context) -> None:
    revoke(context.db, _subject(context).credentials)


def _subject(context: Context, *, allow_expired: bool = False) -> Subject:
    """Return the subject of X-Subject-Token, after the route's rule was enforced on it."""
    token = context.request.headers.get("x-subject-token")
    subject = context.cloud.tokens.inspect(context.db, token, allow_expired=allow_expired)
    if subject is None:
        raise NotFound("Failed to validate token")
    context.enforce(context.rules[0], target(token={"user_id": subject.credentials.user_id}))
    return subject


def _count_use(context: Context, trust_id: str) -> None:
    """Count one use of a trust with a limited number of uses."""
    trust = context.db.get_one(Trust, trust_id)
    if trust.remaining_uses is None:
        return
    left = update(Trust).where(Trust.id == trust_id, Trust.remaining_uses > 0)
    with context.writing() as session:
        used = session.execute(left.values(remaining_uses=Trust.remaining_uses - 1))
        if not used.rowcount:  # type: ignore[attr-defined]
            raise Unauthorized()


def _answer(context: Context, subject: Subject, token: str, status: int, *, brief: bool) -> Response:
    body = describe(subject)
    if not brief and subject.claims.scoped:
        directory, claims = context.cloud.tokens.directory(context.db), subject.claims
        body["catalog"] = directory.catalog(claims.user_id, claims.project_id)
    response = json_response({"token": body}, status)
    response.headers["X-Subject-Token"] = token
    response.headers["Vary"] = "X-Auth-Token"
    return response


def describe(subject: Subject) -> dict[str, Any]:
    """Return the `token` object of *subject*, without its catalog."""
    claims, credentials = subject.claims, subject.credentials

    def domain(identifier: str) -> dict[str, str]:
        return {"id": identifier, "name": subject.domain_names[identifier]}

    body: dict[str, Any] = {
        "methods": list(claims.methods),
        "audit_ids": list(claims.audit_ids),
        "issued_at": isoformat(claims.issued_at, micro=True),
        "expires_at": isoformat(claims.expires_at, micro=True),
        "user": {
            "id": credentials.user_id,
            "name": credentials.user_name,
            "password_expires_at": None,
            "domain": domain(credentials.user_domain_id),
        },
        **subject.delegation,
    }
    if claims.project_id:
        assert credentials.project_domain_id
        body["is_domain"] = False
        body["project"] = {
            "id": claims.project_id,
            "name": subject.project_name,
            "domain": domain(credentials.project_domain_id),
        }
    elif claims.domain_id:
        body["domain"] = domain(claims.domain_id)
    elif claims.system:
        body["system"] = {"all": True}
    if subject.roles:
        body["roles"] = [{"id": identifier, "name": name} for identifier, name in subject.roles]
    return body

"""The subject of a token, and its current rights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Executable, Row, bindparam, false, func, select
from sqlalchemy.orm import Session, aliased

from skywright.auth.assignments import effective_roles
from skywright.auth.credentials import Credentials
from skywright.auth.directory import Directory
from skywright.db import utcnow
from skywright.db.identity import AccessRule, ApplicationCredential, Domain, Project, RevokedToken, Trust, User


@dataclass(frozen=True)
class Claims:
    """The contents of a token: user, scope and time of issue. Its rights are read from the database at each use."""

    user_id: str
    audit_ids: tuple[str, ...]  # its own id, and the id of the token that it was made from
    issued_at: datetime
    expires_at: datetime
    methods: tuple[str, ...]
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    trust_id: str | None = None
    application_credential_id: str | None = None

    @property
    def scoped(self) -> bool:
        return bool(self.project_id or self.domain_id or self.system)


@dataclass(frozen=True)
class Subject:
    """Valid claims: the credentials of a request, and the names that a token's description contains."""

    claims: Claims
    credentials: Credentials
    domain_names: Mapping[str, str]
    project_name: str | None
    roles: Sequence[tuple[str, str]]  # (id, name)
    delegation: Mapping[str, Any] = field(default_factory=dict)  # the fields of the token's description about a trust


@dataclass(frozen=True)
class Delegated:
    """The limits that a trust or an application credential sets on the roles of the user who delegated them."""

    role_ids: frozenset[str]
    owner_id: str  # the user whose roles are used
    description: Mapping[str, Any] = field(default_factory=dict)
    access_rules: tuple[tuple[str, str, str], ...] | None = None
    unrestricted: bool = False


def subject_of(session: Session, directory: Directory, claims: Claims, now: datetime) -> Subject | None:
    """Return the subject of *claims*; None if they expired before *now*, were revoked, or their user, scope or roles do
    not exist any more.
    """
    if claims.expires_at <= now:
        return None
    row = (
        session.connection()
        .execute(
            _STANDING,
            {
                "user": claims.user_id,
                "project": claims.project_id,
                "domain": claims.domain_id,
                "audit": claims.audit_ids[0],
            },
        )
        .first()
    )
    if row is None or not _is_valid(row, claims):
        return None
    delegated = None
    if claims.trust_id or claims.application_credential_id:
        delegated = _trust(session, claims) if claims.trust_id else _application_credential(session, claims)
        if delegated is None:
            return None
    roles = _roles(session, directory, claims, row, delegated)
    if claims.scoped and not roles:
        return None
    names = tuple(directory.role_names[role] for role in roles)
    credentials = Credentials(
        user_id=claims.user_id,
        user_name=row.user_name,
        user_domain_id=row.user_domain_id,
        audit_id=claims.audit_ids[0],
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
        methods=claims.methods,
        project_id=claims.project_id,
        project_domain_id=row.project_domain_id,
        domain_id=claims.domain_id,
        system=claims.system,
        roles=names,
        trust_id=claims.trust_id,
        application_credential_id=claims.application_credential_id,
        access_rules=delegated.access_rules if delegated else None,
        unrestricted=delegated.unrestricted if delegated else True,
    )
    return Subject(
        claims=claims,
        credentials=credentials,
        domain_names={row.user_domain_id: row.user_domain_name, row.scope_domain_id: row.scope_domain_name},
        project_name=row.project_name,
        roles=tuple(zip(roles, names, strict=True)),
        delegation=delegated.description if delegated else {},
    )


def _subject_query() -> Executable:
    """Return the query for the user, project and domains of a token, in one row, and whether the token was revoked."""
    home, scope = aliased(Domain), aliased(Domain)
    return (
        select(
            User.name.label("user_name"),
            User.domain_id.label("user_domain_id"),
            User.enabled.label("user_enabled"),
            User.tokens_valid_after.label("user_since"),
            home.name.label("user_domain_name"),
            home.enabled.label("home_enabled"),
            home.tokens_valid_after.label("home_since"),
            Project.name.label("project_name"),
            Project.domain_id.label("project_domain_id"),
            Project.parent_id.label("project_parent_id"),
            Project.enabled.label("project_enabled"),
            Project.tokens_valid_after.label("project_since"),
            scope.id.label("scope_domain_id"),
            scope.name.label("scope_domain_name"),
            scope.enabled.label("scope_enabled"),
            scope.tokens_valid_after.label("scope_since"),
            RevokedToken.audit_id.label("revoked"),
        )
        .join(home, home.id == User.domain_id)
        .outerjoin(Project, Project.id == bindparam("project"))
        .outerjoin(scope, scope.id == func.coalesce(Project.domain_id, bindparam("domain")))
        .outerjoin(RevokedToken, RevokedToken.audit_id == bindparam("audit"))
        .where(User.id == bindparam("user"))
    )


_STANDING = _subject_query()


def _is_valid(row: Row[Any], claims: Claims) -> bool:
    """Return whether everything in *claims* exists, is enabled, and was not disabled since they were issued."""
    parts = [(row.user_enabled, row.user_since), (row.home_enabled, row.home_since)]
    if claims.project_id:
        parts.append((row.project_enabled, row.project_since))
    if claims.project_id or claims.domain_id:
        parts.append((row.scope_enabled, row.scope_since))
    return row.revoked is None and all(enabled and claims.issued_at >= since for enabled, since in parts)


def _roles(
    session: Session, directory: Directory, claims: Claims, row: Row[Any], delegated: Delegated | None
) -> list[str]:
    project = (claims.project_id, row.project_domain_id, row.project_parent_id) if claims.project_id else None
    held = effective_roles(
        session,
        directory,
        delegated.owner_id if delegated else claims.user_id,
        project=project,
        domain_id=claims.domain_id,
        system=claims.system,
    )
    if delegated is None:
        return held
    allowed = set(directory.with_implied(role for role in delegated.role_ids if role in directory.role_names))
    return [role for role in held if role in allowed]


def _trust(session: Session, claims: Claims) -> Delegated | None:
    """Return the limits of the trust of *claims*, if the trust and both users are valid."""
    trust = session.get(Trust, claims.trust_id)
    if trust is None or (trust.expires_at and trust.expires_at <= utcnow()) or trust.project_id != claims.project_id:
        return None
    if claims.user_id != (trust.trustor_user_id if trust.impersonation else trust.trustee_user_id):
        return None
    users = (User.id.in_([trust.trustor_user_id, trust.trustee_user_id]), Domain.id == User.domain_id)
    disabled = (User.enabled == false()) | (Domain.enabled == false())
    if session.execute(select(User.id).where(*users, disabled)).first():
        return None
    description = {
        "id": trust.id,
        "impersonation": trust.impersonation,
        "trustor_user": {"id": trust.trustor_user_id},
        "trustee_user": {"id": trust.trustee_user_id},
    }
    return Delegated(frozenset(trust.role_ids), trust.trustor_user_id, {"OS-TRUST:trust": description})


def _application_credential(session: Session, claims: Claims) -> Delegated | None:
    """Return the limits of the application credential of *claims*."""
    row = session.get(ApplicationCredential, claims.application_credential_id)
    if row is None or (row.expires_at and row.expires_at <= utcnow()):
        return None
    if row.user_id != claims.user_id or row.project_id != claims.project_id:
        return None
    rules = None
    if row.access_rule_ids:  # as in Keystone, an empty list is no limit: openstackclient sends it by default
        wanted = select(AccessRule).where(AccessRule.id.in_(row.access_rule_ids))
        rules = tuple((rule.service, rule.method, rule.path) for rule in session.scalars(wanted))
    restricted = {"restricted": not row.unrestricted, "id": row.id, "name": row.name}
    return Delegated(
        frozenset(row.role_ids), row.user_id, {"application_credential": restricted}, rules, row.unrestricted
    )

"""Fernet tokens: a token carries who and where; what that allows is read from the database at each use."""

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth import assignments
from skywright.db import utcnow
from skywright.db.identity import Domain, Project, RevokedToken, User
from skywright.http.context import Credentials


class Tokens:
    """Issues and validates tokens with the keys in *directory* (newest first; made when there are none)."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not any(directory.glob("*.key")):
            _write_key(directory / "0001.key")
        keys = [Fernet(path.read_bytes()) for path in sorted(directory.glob("*.key"), reverse=True)]
        self._fernet = MultiFernet(keys)

    def issue(self, credentials: Credentials) -> str:
        """The token of *credentials*; roles are not in it, they are looked up when it is used."""
        payload = {
            "u": credentials.user_id,
            "p": credentials.project_id,
            "d": credentials.domain_id,
            "s": credentials.system,
            "m": list(credentials.methods),
            "a": credentials.audit_id,
            "i": credentials.issued_at.replace(tzinfo=UTC).timestamp(),
            "e": credentials.expires_at.replace(tzinfo=UTC).timestamp(),
            "x": dict(credentials.extra),
        }
        return self._fernet.encrypt(json.dumps(payload, separators=(",", ":")).encode()).decode().rstrip("=")

    def validate(self, session: Session, token: str | None) -> Credentials | None:
        """The credentials of *token*; None if it is forged, expired, revoked or its user or scope is disabled."""
        payload = self._open(token)
        if payload is None:
            return None
        expires = datetime.fromtimestamp(payload["e"], UTC).replace(tzinfo=None)
        issued = datetime.fromtimestamp(payload["i"], UTC).replace(tzinfo=None)
        if expires <= utcnow() or session.get(RevokedToken, payload["a"]) is not None:
            return None
        user = session.get(User, payload["u"])
        if user is None or not user.enabled or issued < user.tokens_valid_after:
            return None
        domain = session.get(Domain, user.domain_id)
        if domain is None or not domain.enabled:
            return None
        return scoped(
            session,
            user,
            project_id=payload["p"],
            domain_id=payload["d"],
            system=payload["s"],
            methods=tuple(payload["m"]),
            audit_id=payload["a"],
            issued_at=issued,
            expires_at=expires,
            extra=payload["x"],
        )

    def _open(self, token: str | None) -> dict[str, Any] | None:
        if not token or len(token) > 4096:
            return None
        try:
            data = self._fernet.decrypt((token + "=" * (-len(token) % 4)).encode())
        except (InvalidToken, UnicodeEncodeError):
            return None
        payload: dict[str, Any] = json.loads(data)
        return payload


def scoped(
    session: Session,
    user: User,
    *,
    project_id: str | None,
    domain_id: str | None,
    system: bool,
    methods: tuple[str, ...],
    issued_at: datetime,
    expires_at: datetime,
    audit_id: str | None = None,
    extra: dict[str, Any] | None = None,
) -> Credentials | None:
    """Credentials of *user* on a scope with the roles held there now; None without any role or if it is disabled."""
    project = session.get(Project, project_id) if project_id else None
    owner = project.domain_id if project else domain_id
    if (project_id and (project is None or not project.enabled)) or (owner and not _enabled(session, owner)):
        return None
    roles = assignments.effective_roles(session, user.id, project_id=project_id, domain_id=domain_id, system=system)
    if (project_id or domain_id or system) and not roles:
        return None
    return Credentials(
        user_id=user.id,
        user_name=user.name,
        user_domain_id=user.domain_id,
        audit_id=audit_id or secrets.token_urlsafe(16),
        issued_at=issued_at,
        expires_at=expires_at,
        methods=methods,
        project_id=project_id,
        project_domain_id=project.domain_id if project else None,
        domain_id=domain_id,
        system=system,
        roles=tuple(role.name for role in roles),
        extra=extra or {},
    )


def revoke(session: Session, credentials: Credentials) -> None:
    """Make the token of *credentials* invalid for ever; forget revocations of tokens that expired."""
    for old in session.scalars(select(RevokedToken).where(RevokedToken.expires_at < utcnow())):
        session.delete(old)
    session.merge(RevokedToken(audit_id=credentials.audit_id, expires_at=credentials.expires_at))


def _enabled(session: Session, domain_id: str) -> bool:
    domain = session.get(Domain, domain_id)
    return domain is not None and domain.enabled


def _write_key(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key())

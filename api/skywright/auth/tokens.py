"""Fernet tokens: a token contains a user and a scope; its rights are read from the database at each use.

They are cached as long as identity's revision (see `revision`) is the same. So most requests need one small query, and
all processes see a change in their next transaction.
"""

import json
import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Delete, delete
from sqlalchemy.orm import Session

from skywright.auth.credentials import Credentials
from skywright.auth.directory import Directory, read_directory
from skywright.auth.keyring import Keyring
from skywright.auth.subject import Claims, Subject, subject_of
from skywright.db import revision, utcnow
from skywright.db.identity import RevokedToken

REMEMBERED = 20_000
LONGEST = 2048
# Services may validate a token that expired during a long request, for so long: Keystone's `allow_expired_window`.
EXPIRED_WINDOW = timedelta(days=2)


class Tokens:
    """Issues and validates tokens with the keys in *directory*: the newest issues, all validate. Makes a key if there
    is none.
    """

    def __init__(self, directory: Path) -> None:
        self._keys = Keyring(directory)
        self._lock = threading.Lock()
        self._directory: tuple[int, Directory] | None = None
        self._subjects: OrderedDict[str, tuple[int, Subject]] = OrderedDict()

    def directory(self, session: Session) -> Directory:
        """Return the roles, implied roles and catalog in *session*'s view."""
        return self._directory_at(session, revision.current(session))

    def subject(self, session: Session, claims: Claims) -> Subject | None:
        """Return the subject of *claims*; None if they are not valid now."""
        return subject_of(session, self.directory(session), claims, utcnow())

    def issue(self, claims: Claims) -> str:
        """Return a token with *claims*."""
        scope = [claims.project_id, claims.domain_id, int(claims.system)]
        times = [claims.issued_at.replace(tzinfo=UTC).timestamp(), claims.expires_at.replace(tzinfo=UTC).timestamp()]
        delegation = [claims.trust_id, claims.application_credential_id]
        content = [claims.user_id, scope, claims.methods, claims.audit_ids, times, delegation]
        return self._keys.seal(json.dumps(content, separators=(",", ":")).encode())

    def inspect(self, session: Session, token: str | None, *, allow_expired: bool = False) -> Subject | None:
        """Return the subject of *token*; None if the token is forged, expired or revoked, or names something disabled
        or deleted. *allow_expired*: a token is valid for EXPIRED_WINDOW longer.
        """
        if not token or len(token) > LONGEST:
            return None
        number, now = revision.current(session), utcnow() - (EXPIRED_WINDOW if allow_expired else timedelta())
        known = self._cached_subject(token, number)
        if known is not None:
            return known if known.claims.expires_at > now else None
        claims = self._claims(token)
        subject = subject_of(session, self._directory_at(session, number), claims, now) if claims else None
        if subject is not None and number is not None and not _may_expire(subject):
            with self._lock:
                self._subjects[token] = (number, subject)
                if len(self._subjects) > REMEMBERED:
                    self._subjects.popitem(last=False)
        return subject

    def validate(self, session: Session, token: str | None) -> Credentials | None:
        """Return the credentials of *token*; None if it is not valid."""
        subject = self.inspect(session, token)
        return subject.credentials if subject else None

    def _cached_subject(self, token: str, number: int | None) -> Subject | None:
        with self._lock:
            at, subject = self._subjects.get(token, (None, None))
            if subject is not None and at != number:
                del self._subjects[token]
            return subject if number is not None and at == number else None

    def _directory_at(self, session: Session, number: int | None) -> Directory:
        if number is not None and self._directory is not None and self._directory[0] == number:
            return self._directory[1]
        directory = read_directory(session)
        if number is not None:
            self._directory = (number, directory)
        return directory

    def _claims(self, token: str) -> Claims | None:
        data = self._keys.open(token)
        if data is None:
            return None
        user, scope, methods, audit_ids, times, delegation = json.loads(data)
        issued, expires = (datetime.fromtimestamp(moment, UTC).replace(tzinfo=None) for moment in times)
        project_id, domain_id, system = scope
        trust_id, application_credential_id = delegation
        return Claims(
            user_id=user,
            audit_ids=tuple(audit_ids),
            issued_at=issued,
            expires_at=expires,
            methods=tuple(methods),
            project_id=project_id,
            domain_id=domain_id,
            system=bool(system),
            trust_id=trust_id,
            application_credential_id=application_credential_id,
        )


def _may_expire(subject: Subject) -> bool:
    """Return whether the subject may expire without a change of a row, as with trusts and application credentials."""
    return bool(subject.claims.trust_id or subject.claims.application_credential_id)


def old_revocations(now: datetime) -> Delete:
    """Return the statement that deletes the revocations of tokens that nobody accepts any more at *now*."""
    return delete(RevokedToken).where(RevokedToken.expires_at < now - EXPIRED_WINDOW)


def revoke(session: Session, credentials: Credentials) -> None:
    """Revoke the token of *credentials*, and delete revocations of expired tokens."""
    session.execute(old_revocations(utcnow()))
    session.merge(RevokedToken(audit_id=credentials.audit_id, expires_at=credentials.expires_at))

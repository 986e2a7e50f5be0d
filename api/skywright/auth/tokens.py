"""Fernet tokens: a token carries who and where; what that allows is read from the database at each use.

What was read is remembered for as long as identity's revision (see `revision`) stays the same, so that most requests
pay one small query for it, and a change by any process is seen by all of them in their next transaction.
"""

import json
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from skywright.auth.credentials import Credentials
from skywright.auth.directory import Directory, read_directory
from skywright.auth.keyring import Keyring
from skywright.auth.subject import Claims, Subject, subject_of
from skywright.db import revision, utcnow
from skywright.db.identity import RevokedToken

REMEMBERED = 20_000
LONGEST = 2048


class Tokens:
    """Issues and validates tokens with the keys in *directory* (newest first; made when there are none)."""

    def __init__(self, directory: Path) -> None:
        self._keys = Keyring(directory)
        self._lock = threading.Lock()
        self._directory: tuple[int, Directory] | None = None
        self._subjects: OrderedDict[str, tuple[int, Subject]] = OrderedDict()

    def directory(self, session: Session) -> Directory:
        """Roles, their implications and the catalog as *session* sees them."""
        return self._directory_at(session, revision.current(session))

    def subject(self, session: Session, claims: Claims) -> Subject | None:
        """What *claims* are worth now; None if nothing."""
        return subject_of(session, self.directory(session), claims)

    def issue(self, claims: Claims) -> str:
        """The token of *claims*."""
        scope = [claims.project_id, claims.domain_id, int(claims.system)]
        times = [claims.issued_at.replace(tzinfo=UTC).timestamp(), claims.expires_at.replace(tzinfo=UTC).timestamp()]
        delegation = [claims.trust_id, claims.application_credential_id]
        content = [claims.user_id, scope, claims.methods, claims.audit_ids, times, delegation]
        return self._keys.seal(json.dumps(content, separators=(",", ":")).encode())

    def inspect(self, session: Session, token: str | None) -> Subject | None:
        """The subject of *token*; None if it is forged, expired, revoked or what it names is disabled or gone."""
        if not token or len(token) > LONGEST:
            return None
        number = revision.current(session)
        known = self._recall(token, number)
        if known is not None:
            return known if known.claims.expires_at > utcnow() else None
        claims = self._claims(token)
        subject = subject_of(session, self._directory_at(session, number), claims) if claims else None
        if subject is not None and number is not None and not _ends_by_itself(subject):
            with self._lock:
                self._subjects[token] = (number, subject)
                if len(self._subjects) > REMEMBERED:
                    self._subjects.popitem(last=False)
        return subject

    def validate(self, session: Session, token: str | None) -> Credentials | None:
        """The credentials of *token*; None if it is not valid."""
        subject = self.inspect(session, token)
        return subject.credentials if subject else None

    def _recall(self, token: str, number: int | None) -> Subject | None:
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


def _ends_by_itself(subject: Subject) -> bool:
    """Trusts and application credentials may expire, which is no change of a row: they are read each time."""
    return bool(subject.claims.trust_id or subject.claims.application_credential_id)


def revoke(session: Session, credentials: Credentials) -> None:
    """Make the token of *credentials* invalid for ever; forget revocations of tokens that expired."""
    session.execute(delete(RevokedToken).where(RevokedToken.expires_at < utcnow()))
    session.merge(RevokedToken(audit_id=credentials.audit_id, expires_at=credentials.expires_at))

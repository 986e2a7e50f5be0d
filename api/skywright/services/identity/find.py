"""Finding domains, users and projects as requests name them: by id, or by name without regard to case."""

from pydantic import BaseModel
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from skywright.db.identity import Domain, Project, User
from skywright.services.identity.common import Text, key_of


class Reference(BaseModel):
    """A domain by id or name."""

    id: Text | None = None
    name: Text | None = None


class OwnedReference(Reference):
    """A user or project by id, or by name and domain."""

    domain: Reference | None = None


def find_domain(session: Session, wanted: Reference | None) -> Domain | None:
    """The domain that *wanted* names."""
    if wanted is None:
        return None
    if wanted.id:
        return session.get(Domain, wanted.id)
    return session.scalar(select(Domain).where(Domain.name_key == key_of(wanted.name or "")))


def find_user(session: Session, wanted: OwnedReference) -> User | None:
    """The user that *wanted* names."""
    if wanted.id:
        return session.get(User, wanted.id)
    query = select(User).where(User.name_key == key_of(wanted.name or ""), *_in_domain(User, wanted.domain))
    return session.scalar(query) if wanted.domain else None


def find_project(session: Session, wanted: OwnedReference) -> Project | None:
    """The project that *wanted* names."""
    if wanted.id:
        return session.get(Project, wanted.id)
    query = select(Project).where(Project.name_key == key_of(wanted.name or ""), *_in_domain(Project, wanted.domain))
    return session.scalar(query) if wanted.domain else None


def _in_domain(kind: type[User] | type[Project], domain: Reference | None) -> tuple[ColumnElement[bool], ...]:
    if domain is None:
        return ()
    if domain.id:
        return (kind.domain_id == domain.id,)
    return (kind.domain_id == Domain.id, Domain.name_key == key_of(domain.name or ""))

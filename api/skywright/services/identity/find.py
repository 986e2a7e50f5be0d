"""Finds the domains, users and projects in requests: by id, or by name, ignoring case.

All token requests use these functions: the statements are built once, and read only the needed columns.
"""

from typing import Any

from pydantic import BaseModel, model_validator
from sqlalchemy import Executable, Row, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from skywright.db.identity import Domain, Project, User
from skywright.http.bodies import Omittable
from skywright.services.identity.common import Text, key_of


class Reference(BaseModel):
    """A domain by id or name."""

    id: Omittable[Text] = None
    name: Omittable[Text] = None

    @model_validator(mode="after")
    def _named(self) -> "Reference":
        if not self.id and not self.name:
            raise ValueError("Expecting to find id or name.")
        return self


class OwnedReference(Reference):
    """A user or project by id, or by name and domain."""

    domain: Omittable[Reference] = None

    @model_validator(mode="after")
    def _owned(self) -> "OwnedReference":
        if not self.id and self.domain is None:
            raise ValueError("Expecting to find domain: a name is unique in its domain only.")
        return self


def find_domain(session: Session, wanted: Reference) -> Row[Any] | None:
    """Return the `id` of the domain *wanted*."""
    by, value = ("id", wanted.id) if wanted.id else ("name", key_of(wanted.name or ""))
    return session.connection().execute(_DOMAIN[by], {"value": value}).first()


def find_user(session: Session, wanted: OwnedReference) -> Row[Any] | None:
    """Return the `id`, `password_hash` and `default_project_id` of the user *wanted*."""
    return _find(session, _USER, wanted)


def find_project(session: Session, wanted: OwnedReference) -> Row[Any] | None:
    """Return the `id` of the project *wanted*."""
    return _find(session, _PROJECT, wanted)


def _find(session: Session, statements: dict[str, Executable], wanted: OwnedReference) -> Row[Any] | None:
    if wanted.id:
        return session.connection().execute(statements["id"], {"value": wanted.id}).first()
    domain = wanted.domain
    assert domain is not None
    by, place = ("domain id", domain.id) if domain.id else ("domain name", key_of(domain.name or ""))
    parameters = {"value": key_of(wanted.name or ""), "domain": place}
    return session.connection().execute(statements[by], parameters).first()


def _statements(kind: type[User] | type[Project], *columns: InstrumentedAttribute[Any]) -> dict[str, Executable]:
    query = select(*columns)
    named = query.where(kind.name_key == bindparam("value"))
    return {
        "id": query.where(kind.id == bindparam("value")),
        "domain id": named.where(kind.domain_id == bindparam("domain")),
        "domain name": named.join(Domain, Domain.id == kind.domain_id).where(Domain.name_key == bindparam("domain")),
    }


_USER = _statements(User, User.id, User.password_hash, User.default_project_id)
_PROJECT = _statements(Project, Project.id)
_DOMAIN = {
    "id": select(Domain.id).where(Domain.id == bindparam("value")),
    "name": select(Domain.id).where(Domain.name_key == bindparam("value")),
}

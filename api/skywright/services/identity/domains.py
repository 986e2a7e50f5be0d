"""`/v3/domains`. https://docs.openstack.org/api-ref/identity/v3/#domains"""

from typing import Annotated, Any

from pydantic import StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db import new_hex
from skywright.db.identity import Domain, Project
from skywright.http import Conflict, Context, Forbidden, Router
from skywright.http.bodies import Omittable, Strict
from skywright.http.policy import on_target
from skywright.services.identity import cascade
from skywright.services.identity.common import (
    Body,
    Description,
    ShortName,
    change_extra,
    fetch,
    flush,
    key_of,
    link,
    reads,
    revoke_tokens,
    target,
)
from skywright.services.identity.listing import page
from skywright.services.identity.options import ResourceOptions, changeable
from skywright.services.identity.tags import Tags

router = Router()
DEFAULT = "default"
FILTERS = {"name": Domain.name, "enabled": Domain.enabled, "id": Domain.id}


class NewDomain(Body):
    explicit_domain_id: Omittable[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]] = None
    name: ShortName
    description: Description | None = None
    enabled: bool = True
    tags: Tags = []
    options: ResourceOptions = ResourceOptions()


class DomainChange(Body):
    name: Omittable[ShortName] = None
    description: Description | None = None
    enabled: Omittable[bool] = None
    tags: Omittable[Tags] = None
    options: ResourceOptions = ResourceOptions()


class CreateDomain(Strict):
    domain: NewDomain


class UpdateDomain(Strict):
    domain: DomainChange


def view(context: Context, row: Domain) -> dict[str, Any]:
    """Return the view of a domain."""
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": row.tags,
        "options": row.options,
        "links": link(context, f"domains/{row.id}"),
    }


@reads(router, "/v3/domains", on_target("identity:list_domains"))
def list_domains(context: Context) -> dict[str, Any]:
    query = select(Domain)
    if not context.allows("identity:list_domains", target()):
        # Users without the right to list all see the domain of their token.
        context.enforce("identity:list_domains", target(domain={"id": context.caller.domain_id}))
        query = query.where(Domain.id == context.caller.domain_id)
    return page(context, "domains", query, view, order=(Domain.name_key, Domain.id), filters=FILTERS)


@router.operation("POST", "/v3/domains", policy="identity:create_domain", status=201)
def create_domain(context: Context, body: CreateDomain) -> dict[str, Any]:
    return {"domain": view(context, add(context.db, body.domain))}


@reads(router, "/v3/domains/{domain_id}", on_target("identity:get_domain"))
def show_domain(context: Context, domain_id: str) -> dict[str, Any]:
    return {"domain": view(context, fetch(context, Domain, domain_id, "domain"))}


@router.operation("PATCH", "/v3/domains/{domain_id}", policy=on_target("identity:update_domain"))
def update_domain(context: Context, domain_id: str, body: UpdateDomain) -> dict[str, Any]:
    row = fetch(context, Domain, domain_id, "domain")
    change(context.db, row, body.domain)
    return {"domain": view(context, row)}


@router.operation("DELETE", "/v3/domains/{domain_id}", policy=on_target("identity:delete_domain"), status=204)
def delete_domain(context: Context, domain_id: str) -> None:
    remove(context.db, fetch(context, Domain, domain_id, "domain"))


def add(session: Session, new: NewDomain) -> Domain:
    """Create a domain."""
    identifier = new.explicit_domain_id or new_hex()
    if session.get(Domain, identifier) or session.get(Project, identifier):  # a domain is a project, too
        raise Conflict(f"Conflict occurred attempting to store domain - Duplicate ID, {identifier}.")
    row = Domain(
        id=identifier,
        name=new.name,
        name_key=key_of(new.name),
        description=new.description or "",
        enabled=new.enabled,
        tags=new.tags,
        options=new.options.onto({}),
        extra=new.unknown,
    )
    session.add(row)
    flush(session, "domain")
    return row


def change(session: Session, row: Domain, wanted: DomainChange) -> None:
    """Apply *wanted*. Disabling a domain revokes its tokens."""
    changeable(row, "domain", wanted)
    given = wanted.given()
    if given.get("enabled") is False:
        if row.id == DEFAULT:
            raise Forbidden("The default domain cannot be disabled.")
        revoke_tokens(row)
    for name in ("description", "enabled", "tags"):
        if name in given:
            setattr(row, name, "" if given[name] is None else given[name])
    if wanted.name is not None:
        row.name, row.name_key = wanted.name, key_of(wanted.name)
    row.options = wanted.options.onto(row.options)
    change_extra(row, wanted)
    flush(session, "domain")


def remove(session: Session, row: Domain) -> None:
    """Delete a disabled domain with all its contents."""
    changeable(row, "domain")
    if row.enabled or row.id == DEFAULT:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    cascade.domain(session, row)

"""Address scopes: subnet pools whose addresses do not overlap, so that routes between their subnets are possible."""

from collections.abc import Sequence
from typing import Any

import netaddr
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.services.network import listing, schemas
from skywright.services.network.addressing import invalid
from skywright.services.network.guard import Guard
from skywright.services.network.shareable import ShareableResource
from skywright.services.network.sharing import EVERYONE, is_shared, share, targets
from skywright.services.network.tables import AddressScope, Subnet, SubnetPool
from skywright.services.network.targets import owned

router = Router()


class AddressScopes(ShareableResource[AddressScope]):
    name, collection, label, model = "address_scope", "address_scopes", "AddressScope", AddressScope
    create_schema, update_schema = schemas.AddressScopeCreate, schemas.AddressScopeUpdate
    filters = listing.Listing(
        AddressScope,
        "AddressScope",
        columns={name: getattr(AddressScope, name) for name in ("id", "project_id", "name", "ip_version")},
        specials={"shared": listing.by_shared(AddressScope.id)},
    )

    guard = Guard("address_scope", {"shared": False})

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Address scope {identifier} could not be found.", kind="AddressScopeNotFound")

    def views(self, context: Context, rows: Sequence[AddressScope]) -> list[dict[str, Any]]:
        return [{"name": row.name, "ip_version": row.ip_version} for row in rows]

    def create(self, context: Context, item: schemas.AddressScopeCreate, project_id: str) -> AddressScope:
        self.guard.authorize(context, owned(project_id) | {"shared": False}, item)
        scope = AddressScope(project_id=project_id, name=item.name, ip_version=item.ip_version)
        context.db.add(scope)
        if item.shared:
            share(scope, self.name, project_id)
        return scope

    def update(self, context: Context, row: AddressScope, item: schemas.AddressScopeUpdate) -> None:
        if "name" in item.model_fields_set:
            row.name = item.name
        if item.shared and EVERYONE not in targets(row):
            share(row, self.name, context.caller.project_id or row.project_id)
        elif "shared" in item.model_fields_set and not item.shared and EVERYONE in targets(row):
            text = f"Unable to update address scope {row.id} : Shared address scope can't be unshared."
            raise BadRequest(text, kind="AddressScopeUpdateError")

    def delete(self, context: Context, row: AddressScope) -> None:
        if context.db.scalar(select(SubnetPool.id).where(SubnetPool.address_scope_id == row.id).limit(1)) is not None:
            text = f"Unable to complete operation on address scope {row.id}. There are one or more subnet pools in use "
            raise Conflict(f"{text}on the address scope.", kind="AddressScopeInUse")
        context.db.delete(row)


def check_pool(context: Context, pool: SubnetPool, scope_id: str | None) -> None:
    """Refuse a scope for *pool* that the caller cannot use, of another IP version, or with the same addresses."""
    if scope_id is None:
        return
    scope = SCOPES.find(context, scope_id)
    if scope.ip_version != pool.ip_version:
        text = f"Illegal subnetpool association: subnetpool {pool.id} cannot associate with address scope {scope.id} "
        text += f"because subnetpool ip_version is not {scope.ip_version}."
        raise BadRequest(text, kind="IllegalSubnetPoolIpVersionAssociationToAddressScope")
    others = select(SubnetPool.prefixes).where(SubnetPool.address_scope_id == scope.id, SubnetPool.id != pool.id)
    taken = netaddr.IPSet([prefix for prefixes in context.db.scalars(others) for prefix in prefixes])
    if taken & netaddr.IPSet(pool.prefixes):
        text = "Failed to associate address scope: subnetpools within an address scope must have unique prefixes."
        raise Conflict(text, kind="AddressScopePrefixConflict")


def check_sharing(session: Session, pool: SubnetPool, target: str) -> None:
    """Refuse to share *pool* with a project that cannot use its scope."""
    scope = session.get(AddressScope, pool.address_scope_id) if pool.address_scope_id else None
    if scope is not None and scope.project_id != target and not is_shared(scope, target):
        text = f"Failed to create RBAC policy on object {pool.id} because target project doesn't have access to "
        raise invalid(f"{text}associated address scope.")


def check_change(context: Context, pool: SubnetPool) -> None:
    """Refuse to change a pool in the scope of another project, as Neutron does."""
    scope = context.db.get(AddressScope, pool.address_scope_id) if pool.address_scope_id else None
    if scope is not None and scope.project_id != context.caller.project_id and not context.is_admin:
        text = f"Illegal subnetpool update : subnetpool {pool.id} cannot be updated when associated with shared "
        raise BadRequest(f"{text}address scope {scope.id}.", kind="IllegalSubnetPoolUpdate")


def check_move(session: Session, pool: SubnetPool) -> None:
    """Refuse to move *pool* to another scope while its networks have subnets of other pools."""
    networks = select(Subnet.network_id).where(Subnet.subnetpool_id == pool.id)
    others = select(Subnet.id).where(
        Subnet.network_id.in_(networks),
        Subnet.ip_version == pool.ip_version,
        Subnet.subnetpool_id.is_distinct_from(pool.id),
    )
    if session.scalar(others.limit(1)) is not None:
        raise _scopes_differ()


def check_subnet(session: Session, network_id: str, version: int, pool: SubnetPool | None) -> None:
    """Refuse a new subnet of *pool*, unless all subnets of the network and the IP version are of the same scope, or
    of the same pool if they have no scope.
    """
    query = select(Subnet.subnetpool_id, SubnetPool.address_scope_id).outerjoin(SubnetPool)
    rows = session.execute(query.where(Subnet.network_id == network_id, Subnet.ip_version == version)).all()
    scope = next((row.address_scope_id for row in rows if row.address_scope_id), None)
    if scope and pool is not None:
        if pool.address_scope_id != scope:
            raise _scopes_differ()
    elif any(row.subnetpool_id != (pool.id if pool else None) for row in rows):
        text = "Subnets hosted on the same network must be allocated from the same subnet pool."
        raise BadRequest(text, kind="NetworkSubnetPoolAffinityError")


def _scopes_differ() -> BadRequest:
    text = "Subnets of the same address family hosted on the same network must all participate in the same address "
    return BadRequest(f"{text}scope.", kind="NetworkAddressScopeAffinityError")


SCOPES = AddressScopes()
SCOPES.register(router)

"""Subnet pools: prefixes from which subnets are allocated without overlaps."""

from collections.abc import Sequence
from typing import Any

import netaddr
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.http import BadRequest, Conflict, Context, Router
from skywright.services.network import addressing, ipam, listing, schemas
from skywright.services.network.address_scopes import check_change, check_move, check_pool, check_sharing
from skywright.services.network.guard import Guard
from skywright.services.network.shareable import ShareableResource
from skywright.services.network.sharing import EVERYONE, share
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import NetworkTag, Subnet, SubnetPool
from skywright.services.network.targets import owned

router = Router()
SIMPLE = ("name", "description", "default_quota", "is_default")
BOUNDS = {4: (8, 32), 6: (64, 128)}
LENGTHS = ("min_prefixlen", "default_prefixlen", "max_prefixlen")
FILTERS = ("ip_version", "default_quota", "is_default", "address_scope_id", *LENGTHS)


class SubnetPools(ShareableResource[SubnetPool], StandardResource[SubnetPool]):
    name, collection, label, model = "subnetpool", "subnetpools", "SubnetPool", SubnetPool
    create_schema, update_schema = schemas.SubnetPoolCreate, schemas.SubnetPoolUpdate
    filters = listing.Listing(
        SubnetPool,
        "SubnetPool",
        tags=NetworkTag,
        columns={
            **standard_columns(SubnetPool),
            **{name: getattr(SubnetPool, name) for name in FILTERS},
        },
        specials={"shared": listing.by_shared(SubnetPool.id)},
    )

    guard = Guard("subnetpool", {"shared": False, "is_default": False})

    def views(self, context: Context, rows: Sequence[SubnetPool]) -> list[dict[str, Any]]:
        return [_view(row) for row in rows]

    def create(self, context: Context, item: schemas.SubnetPoolCreate, project_id: str) -> SubnetPool:
        self.guard.authorize(context, owned(project_id) | {"shared": False}, item)
        ipam.check_quota(context.db, project_id, "subnetpool")
        versions = {netaddr.IPNetwork(prefix).version for prefix in item.prefixes}
        if len(versions) > 1:
            raise BadRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.", kind="PrefixVersionMismatch")
        pool = SubnetPool(project_id=project_id, ip_version=versions.pop(), **item.given(*SIMPLE))
        self._check_default(context, pool, item)
        pool.prefixes = _compact(item.prefixes)
        low, high = BOUNDS[pool.ip_version]
        pool.min_prefixlen = low if item.min_prefixlen is None else item.min_prefixlen
        pool.max_prefixlen = high if item.max_prefixlen is None else item.max_prefixlen
        pool.default_prefixlen = pool.min_prefixlen if item.default_prefixlen is None else item.default_prefixlen
        _check_bounds(pool)
        context.db.add(pool)
        context.db.flush()
        check_pool(context, pool, item.address_scope_id)
        pool.address_scope_id = item.address_scope_id
        if item.shared:
            check_sharing(context.db, pool, EVERYONE)
            share(pool, self.name, project_id)
        return pool

    def update(self, context: Context, row: SubnetPool, item: schemas.SubnetPoolUpdate) -> None:
        check_change(context, row)
        self._check_default(context, row, item)
        for name, value in item.given(*SIMPLE).items():
            setattr(row, name, value)
        if item.prefixes is not None:
            versions = {netaddr.IPNetwork(prefix).version for prefix in item.prefixes}
            if versions != {row.ip_version} or not netaddr.IPSet(row.prefixes) <= netaddr.IPSet(item.prefixes):
                text = "Illegal subnetpool update: existing prefixes must be a subset of the new prefixes."
                raise BadRequest(text, kind="IllegalSubnetPoolPrefixUpdate")
            row.prefixes = _compact(item.prefixes)
        for name, length in item.given(*LENGTHS).items():
            if length is not None:
                setattr(row, name, length)
        _check_bounds(row)
        scope_id = item.address_scope_id if "address_scope_id" in item.model_fields_set else row.address_scope_id
        check_pool(context, row, scope_id)
        if scope_id != row.address_scope_id:
            check_move(context.db, row)
            row.address_scope_id = scope_id

    def delete(self, context: Context, row: SubnetPool) -> None:
        if context.db.scalar(select(Subnet.id).where(Subnet.subnetpool_id == row.id).limit(1)) is not None:
            text = "Unable to delete subnet pool: Subnet pool has existing allocations."
            raise BadRequest(text, kind="SubnetPoolDeleteError")
        context.db.delete(row)

    def default(self, context: Context, version: int) -> SubnetPool:
        """Return the default pool."""
        query = self.query(context).where(SubnetPool.is_default, SubnetPool.ip_version == version)
        pool: SubnetPool | None = context.db.scalar(query)
        if pool is None:
            raise BadRequest("No default subnetpool found for this IP version.", kind="NoDefaultSubnetpoolDefined")
        return pool

    def _check_default(self, context: Context, pool: SubnetPool, item: schemas.SubnetPoolUpdate) -> None:
        if item.is_default:
            query = select(SubnetPool.id).where(SubnetPool.is_default, SubnetPool.ip_version == pool.ip_version)
            if context.db.scalar(query) not in (None, pool.id):
                raise addressing.invalid("A default subnetpool for this IP family has already been set.")


def cut(session: Session, pool: SubnetPool, project_id: str, cidr: str | None, prefixlen: int | None) -> str:
    """Return a free prefix of *pool*: *cidr* itself, or one of *prefixlen* bits."""
    # The lock on the pool serializes requests that allocate from it.
    session.execute(select(SubnetPool.id).where(SubnetPool.id == pool.id).with_for_update())
    if cidr is not None and prefixlen is not None:
        raise BadRequest("Bad subnets request: cidr and prefixlen must not be supplied together.")
    wanted = netaddr.IPNetwork(cidr) if cidr else None
    length = wanted.prefixlen if wanted else prefixlen or pool.default_prefixlen
    if not pool.min_prefixlen <= length <= pool.max_prefixlen:
        text = f"Unable to allocate subnet with prefix length {length}, it may be {pool.min_prefixlen} to "
        raise BadRequest(f"{text}{pool.max_prefixlen}.", kind="PrefixLengthOutOfRange")
    rows = session.execute(select(Subnet.cidr, Subnet.project_id).where(Subnet.subnetpool_id == pool.id)).all()
    _check_pool_quota(pool, length, [row.cidr for row in rows if row.project_id == project_id])
    free = netaddr.IPSet(pool.prefixes) - netaddr.IPSet([row.cidr for row in rows])
    if wanted is not None:
        if wanted.version == pool.ip_version and wanted in free:
            return str(wanted)
        raise BadRequest(
            "Cannot allocate requested subnet from the available set of prefixes.", kind="SubnetAllocationError"
        )
    for block in free.iter_cidrs():
        if block.prefixlen <= length:
            return str(next(iter(block.subnet(length))))
    raise BadRequest(f"Insufficient prefix space to allocate subnet size /{length}.", kind="SubnetAllocationError")


def _check_pool_quota(pool: SubnetPool, length: int, cidrs: Sequence[str]) -> None:
    if pool.default_quota is None:
        return
    # As in Neutron: the number of IPv4 addresses, and of IPv6 networks with 64 bits.
    unit = 32 if pool.ip_version == 4 else 64
    lengths = [length, *(netaddr.IPNetwork(cidr).prefixlen for cidr in cidrs)]
    if sum(1 << max(unit - bits, 0) for bits in lengths) > pool.default_quota:
        raise Conflict("Per-tenant subnet pool prefix quota exceeded.", kind="SubnetPoolQuotaExceeded")


def _compact(prefixes: Sequence[str]) -> list[str]:
    return [str(cidr) for cidr in netaddr.IPSet(prefixes).iter_cidrs()]


def _check_bounds(pool: SubnetPool) -> None:
    lengths = [getattr(pool, name) for name in LENGTHS]
    if lengths != sorted(lengths) or pool.max_prefixlen > BOUNDS[pool.ip_version][1]:
        text = f"Illegal prefix bounds: min, default and max prefix length are {lengths}."
        raise BadRequest(text, kind="IllegalSubnetPoolPrefixBounds")


def _view(row: SubnetPool) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("prefixes", *FILTERS)}


POOLS = SubnetPools()
POOLS.register(router)

"""Subnets."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select

from skywright.http import BadRequest, Conflict, Context, Router
from skywright.http.paging import Clause
from skywright.services.network import addressing, ipam, listing, schemas
from skywright.services.network.address_scopes import check_subnet
from skywright.services.network.guard import Guard
from skywright.services.network.networks import refresh_dhcp, visible_network
from skywright.services.network.router_gateways import add_version
from skywright.services.network.router_ports import GATEWAY, INTERFACE, refresh, routers_on
from skywright.services.network.sharing import network_visible_to, with_policies
from skywright.services.network.standard import StandardResource, standard_columns, touch
from skywright.services.network.subnetpools import POOLS, cut
from skywright.services.network.tables import Address, Network, NetworkTag, Port, Subnet, SubnetPool
from skywright.services.network.targets import on_network, owned

router = Router()
SIMPLE = ("name", "description", "enable_dhcp", "dns_nameservers")
DHCP_SETTINGS = {"gateway_ip", "enable_dhcp", "dns_nameservers", "host_routes"}


def _by_external(context: Context, values: Sequence[str]) -> Clause:
    """Match subnets of external networks, or of other networks."""
    return Subnet.network.has(Network.external.in_([listing.boolean(value) for value in values]))


class Subnets(StandardResource[Subnet]):
    name, collection, label, model = "subnet", "subnets", "Subnet", Subnet
    create_schema, update_schema = schemas.SubnetCreate, schemas.SubnetUpdate
    filters = listing.Listing(
        Subnet,
        "Subnet",
        tags=NetworkTag,
        columns={
            **standard_columns(Subnet),
            "network_id": Subnet.network_id,
            "subnetpool_id": Subnet.subnetpool_id,
            "ip_version": Subnet.ip_version,
            "cidr": Subnet.cidr,
            "gateway_ip": Subnet.gateway_ip,
            "enable_dhcp": Subnet.enable_dhcp,
        },
        constants={"ipv6_ra_mode": None, "ipv6_address_mode": None},
        specials={"shared": listing.by_shared(Subnet.network_id), "router:external": _by_external},
    )

    guard = Guard("subnet")

    def query(self, context: Context) -> Any:
        return super().query(context).options(with_policies(Subnet.network))

    def target(self, context: Context, row: Subnet) -> dict[str, Any]:
        return owned(row.project_id) | on_network(row.network, context.caller.project_id)

    def visible(self, context: Context) -> Clause:
        mine = context.caller.project_id
        return or_(Subnet.project_id == mine, Subnet.network_id.in_(select(Network.id).where(network_visible_to(mine))))

    def views(self, context: Context, rows: Sequence[Subnet]) -> list[dict[str, Any]]:
        return [_view(row) for row in rows]

    def create(self, context: Context, item: schemas.SubnetCreate, project_id: str) -> Subnet:
        network = visible_network(context, item.network_id)
        self.guard.authorize(context, owned(project_id) | on_network(network, context.caller.project_id), item)
        ipam.check_quota(context.db, project_id, "subnet")
        subnet = Subnet(project_id=project_id, network_id=network.id, **item.given(*SIMPLE))
        subnet.enable_dhcp = item.enable_dhcp
        subnet.cidr, subnet.ip_version, pool = _prefix(context, item, project_id)
        subnet.subnetpool_id = pool.id if pool else None
        others = context.db.scalars(select(Subnet.cidr).where(Subnet.network_id == network.id))
        addressing.check_mtu(network.id, network.mtu, [subnet.ip_version])
        addressing.check_overlap(subnet.cidr, network.id, others)
        check_subnet(context.db, network.id, subnet.ip_version, pool)
        _set_addresses(subnet, item)
        _set_routes(subnet, item)
        context.db.add(subnet)
        context.db.flush()
        touch(network)
        refresh(context, add_version(context, network, subnet))
        return subnet

    def update(self, context: Context, row: Subnet, item: schemas.SubnetUpdate) -> None:
        for name, value in item.given(*SIMPLE).items():
            setattr(row, name, value)
        before = row.gateway_ip
        if item.model_fields_set & {"gateway_ip", "allocation_pools"}:
            _update_addresses(row, item)
        if row.gateway_ip != before:
            _check_gateway_unused(context, row, before)
            refresh(context, routers_on(context.db, row.network_id, [GATEWAY]))
        addressing.check_cidr(row.cidr, row.ip_version, dhcp=row.enable_dhcp)
        _set_routes(row, item)
        touch(row.network)
        if item.model_fields_set & DHCP_SETTINGS:
            refresh_dhcp(context, row.network)

    def delete(self, context: Context, row: Subnet) -> None:
        held = list(context.db.scalars(select(Port).join(Address).where(Address.subnet_id == row.id)))
        if any(port.device_owner != ipam.DHCP_OWNER for port in held):
            text = (
                f"Unable to complete operation on subnet {row.id}: One or more ports have an IP allocation from this "
            )
            raise Conflict(f"{text}subnet.", kind="SubnetInUse")
        for port in held:
            port.addresses = [address for address in port.addresses if address.subnet_id != row.id]
        network = row.network
        context.db.flush()
        context.db.delete(row)
        touch(network)
        if row.enable_dhcp:
            refresh_dhcp(context, network)


def _view(row: Subnet) -> dict[str, Any]:
    return {
        "network_id": row.network_id,
        "subnetpool_id": row.subnetpool_id,
        "ip_version": row.ip_version,
        "cidr": row.cidr,
        "gateway_ip": row.gateway_ip,
        "enable_dhcp": row.enable_dhcp,
        "dns_nameservers": row.dns_nameservers,
        "allocation_pools": row.allocation_pools,
        "host_routes": row.host_routes,
        "ipv6_ra_mode": None,
        "ipv6_address_mode": None,
        "router:external": row.network.external,
    }


def _prefix(context: Context, item: schemas.SubnetCreate, project_id: str) -> tuple[str, int, SubnetPool | None]:
    """Return the new subnet's cidr, its IP version, and its subnet pool."""
    if item.subnetpool_id and item.use_default_subnetpool:
        raise BadRequest("Bad subnets request: subnetpool_id and use_default_subnetpool cannot both be specified.")
    if item.subnetpool_id or item.use_default_subnetpool:
        if item.subnetpool_id:
            pool = POOLS.find(context, item.subnetpool_id)
        else:
            pool = POOLS.default(context, item.ip_version or 4)
        if item.ip_version not in (None, pool.ip_version):
            raise addressing.invalid(f"ip_version '{item.ip_version}' does not match the subnetpool's.")
        return cut(context.db, pool, project_id, item.cidr, item.prefixlen), pool.ip_version, pool
    if item.cidr is None:
        raise BadRequest("Bad subnets request: a subnetpool must be specified in the absence of a cidr.")
    if item.ip_version is None:
        raise BadRequest("Failed to parse request. Required attribute 'ip_version' not specified.")
    if item.prefixlen is not None:
        raise BadRequest("Bad subnets request: cidr and prefixlen must not be supplied together.")
    return item.cidr, item.ip_version, None


def _set_addresses(subnet: Subnet, item: schemas.SubnetCreate) -> None:
    addressing.check_cidr(subnet.cidr, subnet.ip_version, dhcp=subnet.enable_dhcp)
    wished = "gateway_ip" in item.model_fields_set
    subnet.gateway_ip = item.gateway_ip if wished else addressing.default_gateway(subnet.cidr)
    addressing.check_gateway(subnet.gateway_ip, subnet.cidr, subnet.ip_version)
    if item.allocation_pools is None:
        subnet.allocation_pools = addressing.default_pools(subnet.cidr, subnet.gateway_ip)
        return
    subnet.allocation_pools = addressing.checked_pools(item.allocation_pools, subnet.cidr)
    addressing.check_gateway_and_pools(subnet.gateway_ip, subnet.allocation_pools)


def _update_addresses(subnet: Subnet, item: schemas.SubnetUpdate) -> None:
    if item.allocation_pools is not None:
        subnet.allocation_pools = addressing.checked_pools(item.allocation_pools, subnet.cidr)
        subnet.cursor = None
    if "gateway_ip" in item.model_fields_set:
        addressing.check_gateway(item.gateway_ip, subnet.cidr, subnet.ip_version)
        subnet.gateway_ip = item.gateway_ip
    addressing.check_gateway_and_pools(subnet.gateway_ip, subnet.allocation_pools)


def _check_gateway_unused(context: Context, subnet: Subnet, gateway: str | None) -> None:
    """Refuse to change a gateway address that a router has."""
    query = select(Port.id).join(Address).where(Port.device_owner == INTERFACE, Address.subnet_id == subnet.id)
    port_id = context.db.scalar(query.where(Address.ip_address == gateway))
    if port_id is not None:
        text = f"Current gateway ip {gateway} already in use by port {port_id}. Unable to update."
        raise Conflict(text, kind="GatewayIpInUse")


def _set_routes(subnet: Subnet, item: schemas.SubnetUpdate) -> None:
    addressing.check_versions(subnet.ip_version, "dns_nameserver", subnet.dns_nameservers or [])
    if "host_routes" in item.model_fields_set:
        for route in item.host_routes:
            addressing.check_versions(subnet.ip_version, "host_route", (route.destination, route.nexthop))
        subnet.host_routes = [route.model_dump() for route in item.host_routes]


SUBNETS = Subnets()
SUBNETS.register(router)

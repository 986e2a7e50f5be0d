"""Networks."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, func, select

from skywright.db import utcnow
from skywright.http import Conflict, Context, Router
from skywright.http.paging import Clause
from skywright.jobs.engine.submit import submit
from skywright.services.compute.internal import replug
from skywright.services.network import addressing, dns, ipam, listing, qos_use, schemas, segments
from skywright.services.network.associations import release_unused
from skywright.services.network.external import set_default, set_external
from skywright.services.network.guard import Guard
from skywright.services.network.presence import hosts_of
from skywright.services.network.router_ports import refresh, routers_on
from skywright.services.network.shareable import ShareableResource
from skywright.services.network.sharing import (
    EVERYONE,
    network_visible_to,
    share,
    targets,
    unshare,
    users_without,
)
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import Network, NetworkTag, Port, Subnet, SubnetPool
from skywright.services.network.targets import owned

router = Router()
SIMPLE = ("name", "description", "admin_state_up", "port_security_enabled", "dns_domain")
PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


class Networks(ShareableResource[Network], StandardResource[Network]):
    name, collection, label, model = "network", "networks", "Network", Network
    create_schema, update_schema = schemas.NetworkCreate, schemas.NetworkUpdate
    filters = listing.Listing(
        Network,
        "Network",
        tags=NetworkTag,
        columns={
            **standard_columns(Network),
            "status": Network.status,
            "admin_state_up": Network.admin_state_up,
            "mtu": Network.mtu,
            "router:external": Network.external,
            "is_default": Network.is_default,
            "provider:network_type": Network.type,
            "provider:physical_network": Network.physical_network,
            # As `Network.segment`, which is shown.
            "provider:segmentation_id": case((Network.segmentation_id > 0, Network.segmentation_id)),
        },
        specials={"shared": listing.by_shared(Network.id)},
    )

    guard = Guard(
        "network",
        {
            "shared": False,
            "router:external": False,
            "is_default": False,
            "port_security_enabled": True,
            **dict.fromkeys(PROVIDER),
        },
        hidden=PROVIDER,
    )

    def target(self, context: Context, row: Network) -> dict[str, Any]:
        return super().target(context, row) | {"router:external": row.external}

    def visible(self, context: Context) -> Clause:
        return network_visible_to(context.caller.project_id)

    def deleted(self) -> Clause:
        return Network.deleted_at.is_not(None)

    def views(self, context: Context, rows: Sequence[Network]) -> list[dict[str, Any]]:
        query = select(Subnet.network_id, Subnet.id, SubnetPool.ip_version, SubnetPool.address_scope_id)
        query = query.outerjoin(SubnetPool).where(Subnet.network_id.in_([row.id for row in rows]))
        subnets: dict[str, list[str]] = {}
        scopes: dict[tuple[str, int], str | None] = {}  # all subnets of a network and version have the same one
        for network_id, subnet_id, version, scope in context.db.execute(query.order_by(Subnet.created_at)):
            subnets.setdefault(network_id, []).append(subnet_id)
            if scope is not None:
                scopes[network_id, version] = scope
        return [
            _view(row, subnets.get(row.id, []))
            | {f"ipv{version}_address_scope": scopes.get((row.id, version)) for version in (4, 6)}
            for row in rows
        ]

    def create(self, context: Context, item: schemas.NetworkCreate, project_id: str) -> Network:
        self.guard.authorize(context, owned(project_id) | {"shared": False, "router:external": False}, item)
        ipam.check_quota(context.db, project_id, "network")
        values = item.given(*SIMPLE)
        network = Network(project_id=project_id, type=item.type or "vxlan", **values)
        network.qos_policy_id = qos_use.usable(context, item.qos_policy_id) or qos_use.default_of(
            context.db, project_id
        )
        network.mtu = segments.mtu_of(network.type, item.mtu)
        segments.place(context.db, network, item)
        if item.shared:
            share(network, self.name, project_id)
        set_external(context.db, network, external=item.external)
        set_default(context.db, network, is_default=item.is_default)
        return network

    def update(self, context: Context, row: Network, item: schemas.NetworkUpdate) -> None:
        if "shared" in item.model_fields_set:
            _set_shared(context, row, shared=item.shared)
        if "external" in item.model_fields_set:
            set_external(context.db, row, external=item.external)
        if "is_default" in item.model_fields_set:
            set_default(context.db, row, is_default=item.is_default)
        before, domain = (row.admin_state_up, row.mtu), row.dns_domain
        limits = row.qos_policy_id
        qos_use.set_policy(context, row, item)
        for name, value in item.given(*SIMPLE).items():
            setattr(row, name, value)
        if item.mtu is not None:
            row.mtu = segments.mtu_of(row.type, item.mtu)
            versions = context.db.scalars(select(Subnet.ip_version).where(Subnet.network_id == row.id).distinct())
            addressing.check_mtu(row.id, row.mtu, list(versions))
        if row.dns_domain != domain:
            _check_names(context, row)
        if (row.admin_state_up, row.mtu) != before or row.dns_domain != domain:
            refresh_dhcp(context, row)
        if (row.admin_state_up, row.mtu) != before or row.qos_policy_id != limits:
            replug(context, context.db.scalars(select(Port.device_id).where(Port.network_id == row.id)))
            refresh(context, routers_on(context.db, row.id))

    def delete(self, context: Context, row: Network) -> None:
        release_unused(context.db, row.id)
        ports = list(context.db.scalars(select(Port).where(Port.network_id == row.id)))
        users = [port.id for port in ports if port.device_owner != ipam.DHCP_OWNER]
        if users:
            text = f"Unable to complete operation on network {row.id}. There are one or more ports still in use on "
            raise Conflict(f"{text}the network, id for these ports is {','.join(users[:20])}.", kind="NetworkInUse")
        dhcp_host = next((port.host for port in ports), "")
        for port in ports:
            ipam.delete_port(context.db, port)
        subnets = select(Subnet.id).where(Subnet.network_id == row.id).scalar_subquery()
        context.db.execute(delete(NetworkTag).where(NetworkTag.resource_id.in_(subnets)))
        context.db.execute(delete(Subnet).where(Subnet.network_id == row.id))
        if not hosts_of(context.db, row.id):
            context.db.delete(row)
            return
        row.deleted_at, row.rbac_policies = utcnow(), []
        submit(context, "network", "delete", [("network", row.id)], {"network_id": row.id, "dhcp_host": dhcp_host})


def visible_network(context: Context, network_id: str) -> Network:
    """Return a network that the caller may use, his own or a shared one; raise NotFound otherwise."""
    return NETWORKS.find(context, network_id)


def refresh_dhcp(context: Context, network: Network) -> None:
    """Queue a job that updates the network's DHCP server, if the network is on a host."""
    if hosts_of(context.db, network.id):
        submit(context, "network", "update", [("network", network.id)], {"network_id": network.id})


def _view(row: Network, subnets: list[str]) -> dict[str, Any]:
    return {
        "status": row.status,
        "admin_state_up": row.admin_state_up,
        "mtu": row.mtu,
        "subnets": subnets,
        "router:external": row.external,
        "is_default": row.is_default,
        "port_security_enabled": row.port_security_enabled,
        "dns_domain": row.dns_domain,
        "qos_policy_id": row.qos_policy_id,
        "provider:network_type": row.type,
        "provider:physical_network": row.physical_network or None,
        "provider:segmentation_id": row.segment,
    }


def _check_names(context: Context, network: Network) -> None:
    """Raise BadRequest if a port's name is too long for the domain of *network*."""
    longest = select(Port.dns_name).where(Port.network_id == network.id, Port.dns_domain == "")
    name = context.db.scalar(longest.order_by(func.length(Port.dns_name).desc()).limit(1))
    dns.check_length(name or "", dns.domain_of(network))


def _set_shared(context: Context, network: Network, *, shared: bool) -> None:
    """Share *network* with all projects, or stop that."""
    if not shared:
        if users_without(context.db, network, EVERYONE):
            raise Conflict(in_use(network.name), kind="InvalidSharedSetting")
        unshare(network, EVERYONE)
    elif EVERYONE not in targets(network):
        share(network, NETWORKS.name, context.caller.project_id or network.project_id)


def in_use(network: str) -> str:
    """Return Neutron's message for a network, by name or id, that other projects use."""
    return f"Unable to reconfigure sharing settings for network {network}. Multiple projects are using it."


NETWORKS = Networks()
NETWORKS.register(router)

"""Networks."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, or_, select
from sqlalchemy.orm import Session

from skywright.db import utcnow
from skywright.http import Conflict, Context, Router
from skywright.http.paging import Clause
from skywright.jobs.engine.submit import submit
from skywright.services.compute.internal import replug
from skywright.services.network import addressing, ipam, listing, schemas, segments
from skywright.services.network.guard import Guard
from skywright.services.network.presence import hosts_of
from skywright.services.network.resource import Resource, standard_columns
from skywright.services.network.tables import Network, NetworkTag, Port, Subnet
from skywright.services.network.targets import owned

router = Router()
PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")


class Networks(Resource[Network]):
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
            "shared": Network.shared,
            "mtu": Network.mtu,
            "provider:network_type": Network.type,
            "provider:physical_network": Network.physical_network,
            # As `Network.segment`, which is shown.
            "provider:segmentation_id": case((Network.segmentation_id > 0, Network.segmentation_id)),
        },
        constants={"router:external": False, "is_default": False},
    )

    guard = Guard(
        "network",
        {"shared": False, "router:external": False, "port_security_enabled": True, **dict.fromkeys(PROVIDER)},
        hidden=PROVIDER,
    )

    def visible(self, context: Context) -> Clause:
        return or_(Network.project_id == context.caller.project_id, Network.shared)

    def target(self, context: Context, row: Network) -> dict[str, Any]:
        return owned(row.project_id) | {"shared": row.shared, "router:external": False}

    def deleted(self) -> Clause:
        return Network.deleted_at.is_not(None)

    def views(self, context: Context, rows: Sequence[Network]) -> list[dict[str, Any]]:
        query = select(Subnet.network_id, Subnet.id).where(Subnet.network_id.in_([row.id for row in rows]))
        subnets: dict[str, list[str]] = {}
        for network_id, subnet_id in context.db.execute(query.order_by(Subnet.created_at)):
            subnets.setdefault(network_id, []).append(subnet_id)
        return [_view(row, subnets.get(row.id, [])) for row in rows]

    def create(self, context: Context, item: schemas.NetworkCreate, project_id: str) -> Network:
        self.guard.authorize(context, owned(project_id) | {"shared": False, "router:external": False}, item)
        ipam.check_quota(context.db, project_id, "network")
        values = item.given("name", "description", "admin_state_up", "shared")
        network = Network(project_id=project_id, type=item.type or "vxlan", **values)
        network.mtu = segments.mtu_of(network.type, item.mtu)
        segments.place(context.db, network, item)
        return network

    def update(self, context: Context, row: Network, item: schemas.NetworkUpdate) -> None:
        if row.shared and "shared" in item.model_fields_set and not item.shared:
            _unshare(context.db, row)
        before = row.admin_state_up, row.mtu
        for name, value in item.given("name", "description", "admin_state_up", "shared").items():
            setattr(row, name, value)
        if item.mtu is not None:
            row.mtu = segments.mtu_of(row.type, item.mtu)
            versions = context.db.scalars(select(Subnet.ip_version).where(Subnet.network_id == row.id).distinct())
            addressing.check_mtu(row.id, row.mtu, list(versions))
        if (row.admin_state_up, row.mtu) != before:
            refresh_dhcp(context, row)
            replug(context, context.db.scalars(select(Port.device_id).where(Port.network_id == row.id)))

    def delete(self, context: Context, row: Network) -> None:
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
        row.deleted_at = utcnow()
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
        "shared": row.shared,
        "mtu": row.mtu,
        "subnets": subnets,
        "router:external": False,
        "port_security_enabled": False,
        "provider:network_type": row.type,
        "provider:physical_network": row.physical_network or None,
        "provider:segmentation_id": row.segment,
    }


def _unshare(session: Session, network: Network) -> None:
    query = select(Port.id).where(Port.network_id == network.id, Port.project_id != network.project_id)
    if session.scalar(query.limit(1)) is not None:
        text = f"Unable to reconfigure sharing settings for network {network.name}. Multiple tenants are using it."
        raise Conflict(text, kind="InvalidSharedSetting")


NETWORKS = Networks()
NETWORKS.register(router)

"""Networks."""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skywright.db import utcnow
from skywright.db.jobs import Host
from skywright.http import BadRequest, Conflict, Context, Router
from skywright.http.paging import Clause
from skywright.jobs.engine.submit import submit
from skywright.services.compute.internal import replug
from skywright.services.network import ipam, listing, schemas
from skywright.services.network.guard import Guard
from skywright.services.network.presence import hosts_of
from skywright.services.network.resource import Resource, standard_columns
from skywright.services.network.tables import Network, NetworkTag, Port, Subnet
from skywright.services.network.targets import owned

router = Router()
# The MTU of the hosts' data network; the header of a tunnel takes 50 bytes.
PHYSICAL_MTU, TUNNEL_HEADER = 1500, 50
SEGMENTS = {"vxlan": (1, (1 << 24) - 1), "vlan": (1, 4094)}
ATTEMPTS = 20
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
            "provider:segmentation_id": Network.segmentation_id,
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
        network.mtu = _mtu(network.type, item.mtu)
        _place(context.db, network, item)
        return network

    def update(self, context: Context, row: Network, item: schemas.NetworkUpdate) -> None:
        if row.shared and "shared" in item.model_fields_set and not item.shared:
            _unshare(context.db, row)
        before = row.admin_state_up, row.mtu
        for name, value in item.given("name", "description", "admin_state_up", "shared").items():
            setattr(row, name, value)
        if item.mtu is not None:
            row.mtu = _mtu(row.type, item.mtu)
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
        "provider:segmentation_id": row.segmentation_id or None,
    }


def _mtu(kind: str, wanted: int | None) -> int:
    largest = PHYSICAL_MTU - (TUNNEL_HEADER if kind == "vxlan" else 0)
    if not wanted:
        return largest
    if not 68 <= wanted <= largest:
        text = f"Invalid input for operation: Requested MTU is out of range, it may be 68 to {largest}."
        raise BadRequest(text, kind="InvalidInput")
    return wanted


def _place(session: Session, network: Network, item: schemas.NetworkCreate) -> None:
    """Set the segment of the network: the requested one, or a free one."""
    network.physical_network = _physical_network(session, network.type, item.physical_network)
    low, high = SEGMENTS.get(network.type, (0, 0))
    wanted = item.segmentation_id
    if wanted is not None and not low <= wanted <= high:
        text = f"Invalid input for operation: segmentation_id is out of range for a {network.type} network."
        raise BadRequest(text, kind="InvalidInput")
    for _ in range(ATTEMPTS):
        network.segmentation_id = wanted or _free_segment(session, network, low, high)
        try:
            with session.begin_nested():
                session.add(network)
                session.flush()
        except IntegrityError as error:
            # The segment is in use: another request took it since, or it was requested.
            if wanted is not None or network.type == "flat":
                raise _in_use(network) from error
        else:
            return
    raise Conflict("Unable to create the network. No tenant network is available.", kind="NoNetworkAvailable")


def _in_use(network: Network) -> Conflict:
    where = f"on physical network {network.physical_network}" if network.physical_network else ""
    text = (
        f"Unable to create the network. The {network.type} segment {network.segmentation_id or ''} {where} is in use."
    )
    kind = {"vxlan": "TunnelIdInUse", "vlan": "VlanIdInUse", "flat": "FlatNetworkInUse"}[network.type]
    return Conflict(" ".join(text.split()), kind=kind)


def _free_segment(session: Session, network: Network, low: int, high: int) -> int:
    """Return a random segment. It is nearly always free; otherwise the table's constraint refuses it."""
    if network.type != "vlan":
        return random.SystemRandom().randint(low, high) if high else 0
    query = select(Network.segmentation_id).where(
        Network.type == network.type, Network.physical_network == network.physical_network
    )
    taken = set(session.scalars(query))
    free = next((number for number in range(low, high + 1) if number not in taken), None)
    if free is None:
        raise Conflict("Unable to create the network. No VLAN is available.", kind="NoNetworkAvailable")
    return free


def _physical_network(session: Session, kind: str, wanted: str | None) -> str:
    if kind == "vxlan":
        if wanted:
            text = "Invalid input for operation: provider:physical_network specified for vxlan network."
            raise BadRequest(text, kind="InvalidInput")
        return ""
    known = {
        name for host in session.scalars(select(Host)) for name in host.variables.get("vswitch_physical_networks", {})
    }
    if not wanted or wanted not in known:
        text = f"Invalid input for operation: physical_network '{wanted or ''}' unknown for {kind} provider network."
        raise BadRequest(text, kind="InvalidInput")
    return wanted


def _unshare(session: Session, network: Network) -> None:
    query = select(Port.id).where(Port.network_id == network.id, Port.project_id != network.project_id)
    if session.scalar(query.limit(1)) is not None:
        text = f"Unable to reconfigure sharing settings for network {network.name}. Multiple tenants are using it."
        raise Conflict(text, kind="InvalidSharedSetting")


NETWORKS = Networks()
NETWORKS.register(router)

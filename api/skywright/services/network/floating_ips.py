"""Floating IPs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from skywright import http
from skywright.http import BadRequest, Conflict, Context, NotFound
from skywright.services.network import ipam, listing
from skywright.services.network.associations import release
from skywright.services.network.errors import bad
from skywright.services.network.floating_ip_targets import associate
from skywright.services.network.guard import Guard
from skywright.services.network.networks import visible_network
from skywright.services.network.ports import shown_status
from skywright.services.network.router_ports import FLOATING, refresh
from skywright.services.network.router_schemas import FloatingIpCreate, FloatingIpUpdate
from skywright.services.network.router_tables import FloatingIp, PortForwarding
from skywright.services.network.standard import StandardResource, standard_columns
from skywright.services.network.tables import Network, NetworkTag, Port
from skywright.services.network.targets import owned

router = http.Router()
NO_STATUS = "N/A"  # of the port of a floating IP, which is on no host
DETAILS = ("name", "network_id", "mac_address", "admin_state_up", "device_id", "device_owner")


class FloatingIps(StandardResource[FloatingIp]):
    name, collection, label, model = "floatingip", "floatingips", "FloatingIP", FloatingIp
    create_schema, update_schema = FloatingIpCreate, FloatingIpUpdate
    filters = listing.Listing(
        FloatingIp,
        "FloatingIP",
        tags=NetworkTag,
        columns={
            **standard_columns(FloatingIp),
            "floating_network_id": FloatingIp.floating_network_id,
            "floating_ip_address": FloatingIp.floating_ip_address,
            "fixed_ip_address": func.coalesce(FloatingIp.fixed_ip_address, ""),
            "port_id": func.coalesce(FloatingIp.port_id, ""),
            "router_id": func.coalesce(FloatingIp.router_id, ""),
            "status": FloatingIp.status,
        },
    )

    guard = Guard("floatingip", {"floating_ip_address": None})

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Floating IP {identifier} could not be found", kind="FloatingIPNotFound")

    def views(self, context: Context, rows: Sequence[FloatingIp]) -> list[dict[str, Any]]:
        ports = {row.port_id for row in rows if row.port_id}
        query = select(Port, shown_status()).where(Port.id.in_(ports))
        shown = {port.id: _details(port, status) for port, status in context.db.execute(query)}
        return [_view(row, shown.get(row.port_id or "")) for row in rows]

    def create(self, context: Context, item: FloatingIpCreate, project_id: str) -> FloatingIp:
        self.guard.authorize(context, owned(project_id), item)
        network = visible_network(context, item.floating_network_id)
        if not network.external:
            raise bad("floatingip", f"Network {network.id} is not a valid external network")
        if all(subnet.ip_version != 4 for subnet in ipam.subnets_of(context.db, network.id)):
            raise bad("floatingip", f"Network {network.id} does not contain any IPv4 subnet")
        ipam.check_quota(context.db, project_id, self.name)
        row = reserve(context, network, project_id, subnet_id=item.subnet_id, address=item.floating_ip_address)
        row.description = item.description
        associate(context, row, item)
        context.db.flush()
        refresh(context, [row.router_id or ""])
        return row

    def update(self, context: Context, row: FloatingIp, item: FloatingIpUpdate) -> None:
        if "description" in item.model_fields_set:
            row.description = item.description
        before = row.router_id
        if associate(context, row, item):
            refresh(context, [before or "", row.router_id or ""])

    def delete(self, context: Context, row: FloatingIp) -> None:
        if row.port_forwardings:
            text = f"Floating IP {row.id} in use by Port Forwarding resources."
            raise Conflict(text, kind="FipInUseByPortForwarding")
        before = row.router_id
        release(context.db, row)
        refresh(context, [before or ""])


def reserve(
    context: Context, network: Network, project_id: str, *, subnet_id: str | None = None, address: str | None = None
) -> FloatingIp:
    """Create a floating IP that leads nowhere, with an address of *network*."""
    wanted = {name: value for name, value in (("subnet_id", subnet_id), ("ip_address", address)) if value}
    # The port belongs to no project: users have the floating IP instead.
    port = ipam.create_port(
        context.db,
        network,
        "",
        fixed_ips=[wanted] if wanted else None,
        device_owner=FLOATING,
        status=NO_STATUS,
        port_security_enabled=False,
    )
    own = next((each.ip_address for each in port.addresses if ":" not in each.ip_address), None)
    if own is None:
        text = f"Unable to find any IP address on external network {network.id}."
        raise BadRequest(text, kind="ExternalIpAddressExhausted")
    row = FloatingIp(project_id=project_id, floating_network_id=network.id, floating_port_id=port.id)
    row.floating_ip_address = own
    context.db.add(row)
    context.db.flush()
    port.device_id = row.id
    return row


def _view(row: FloatingIp, port: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "floating_network_id": row.floating_network_id,
        "floating_ip_address": row.floating_ip_address,
        "router_id": row.router_id,
        "port_id": row.port_id,
        "fixed_ip_address": row.fixed_ip_address,
        "status": row.status,
        "port_details": port,
        "port_forwardings": [_forwarding(each) for each in row.port_forwardings],
    }


def _details(port: Port, status: str) -> dict[str, Any]:
    return {name: getattr(port, name) for name in DETAILS} | {"status": status}


def _forwarding(row: PortForwarding) -> dict[str, Any]:
    return {
        "id": row.id,
        "protocol": row.protocol,
        "internal_ip_address": row.internal_ip_address,
        "internal_port_id": row.internal_port_id,
        "external_port": row.external_port_min if row.external_port_min == row.external_port_max else None,
        "internal_port": row.internal_port_min if row.internal_port_min == row.internal_port_max else None,
    }


FLOATING_IPS = FloatingIps()
FLOATING_IPS.register(router)

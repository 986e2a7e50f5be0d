"""Floating IPs for the compute service, whose API has older calls for them."""

from collections.abc import Sequence

from sqlalchemy import select

from skywright.http import Conflict, Context, NotFound
from skywright.services.network import ipam
from skywright.services.network.associations import DOWN
from skywright.services.network.floating_ip_targets import lead
from skywright.services.network.floating_ips import FLOATING_IPS, reserve
from skywright.services.network.networks import NETWORKS
from skywright.services.network.router_ports import refresh
from skywright.services.network.router_tables import FloatingIp
from skywright.services.network.standard import touch
from skywright.services.network.tables import Network, Port
from skywright.services.network.targets import owned


def pools(context: Context) -> Sequence[Network]:
    """Return the external networks that the caller sees."""
    query = NETWORKS.query(context).where(Network.external).order_by(Network.created_at, Network.id)
    found: Sequence[Network] = context.db.scalars(query).all()
    return found


def listed(context: Context, address: str | None = None) -> Sequence[FloatingIp]:
    """Return the floating IPs of the caller's project, with *address* if it is given."""
    query = select(FloatingIp).where(FloatingIp.project_id == context.project_id).order_by(FloatingIp.created_at)
    if address is not None:
        query = query.where(FloatingIp.floating_ip_address == address)
    return context.db.scalars(query).all()


def find(context: Context, identifier: str) -> FloatingIp:
    """Return a floating IP that the caller sees; raise NotFound otherwise."""
    return FLOATING_IPS.find(context, identifier)


def allocate(context: Context, pool: str | None) -> FloatingIp:
    """Create a floating IP of the external network *pool*, a name or id, or of the default one.

    Raises NotFound if there is no such network, or none with this address left, and Conflict over quota.
    """
    networks = pools(context)
    wanted = [each for each in networks if (pool in (each.id, each.name) if pool else each.is_default)]
    if not wanted and not pool and len(networks) == 1:
        wanted = [networks[0]]
    if len(wanted) != 1:
        raise NotFound("Floating IP pool not found.")
    context.enforce("create_floatingip", owned(context.project_id))
    ipam.check_quota(context.db, context.project_id, "floatingip")
    return reserve(context, wanted[0], context.project_id)


def associate(context: Context, row: FloatingIp, server_id: str, address: str) -> None:
    """Make *row* lead to an address of a server; raise errors as the network service."""
    if row.port_forwardings:
        raise Conflict(f"Floating IP {row.id} in use by Port Forwarding resources.")
    query = select(Port).where(Port.device_id == server_id)
    port = next(port for port in context.db.scalars(query) if address in {each.ip_address for each in port.addresses})
    context.enforce("update_floatingip", owned(row.project_id))
    before = row.router_id
    if lead(context, row, port, address):
        touch(row)
        refresh(context, [before or "", row.router_id or ""])


def disassociate(context: Context, row: FloatingIp) -> None:
    """Make *row* lead nowhere."""
    context.enforce("update_floatingip", owned(row.project_id))
    before = row.router_id
    row.port_id = row.fixed_ip_address = row.router_id = None
    row.status = DOWN
    touch(row)
    refresh(context, [before or ""])


def delete(context: Context, row: FloatingIp) -> None:
    """Delete *row*."""
    context.enforce("delete_floatingip", owned(row.project_id))
    FLOATING_IPS.delete(context, row)

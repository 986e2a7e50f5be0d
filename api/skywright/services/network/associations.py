"""What floating IPs and port forwardings lead to: ports, their fixed addresses, and the routers between."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright.errors import Conflict, NotFound
from skywright.services.network.router_ports import GATEWAY, INTERFACE
from skywright.services.network.router_tables import FloatingIp, PortForwarding
from skywright.services.network.tables import Address, NetworkTag, Port, Subnet

DOWN = "DOWN"


def router_between(session: Session, port: Port, subnet: Subnet, network_id: str) -> str | None:
    """Return the router between the *subnet* of *port* and the external network: rather the subnet's gateway."""
    gateways = select(Port.device_id).where(Port.network_id == network_id, Port.device_owner == GATEWAY)
    query = (
        select(Port.device_id, Address.ip_address)
        .join(Address, Address.port_id == Port.id)
        .where(Port.network_id == port.network_id, Port.device_owner == INTERFACE, Address.subnet_id == subnet.id)
        .where(Port.device_id.in_(gateways))
        .order_by(Port.created_at, Port.id)
    )
    found = session.execute(query).all()
    best = next((row for row in found if row.ip_address == subnet.gateway_ip), found[0] if found else None)
    return best.device_id if best else None


def unreachable(port: Port, subnet_id: str, network_id: str) -> NotFound:
    """Return the error for a port that has no router to an external network."""
    text = f"External network {network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate Port "
    return NotFound(f"{text}{port.id} with a Floating IP.", kind="ExternalGatewayForFloatingIPNotFound")


def disassociate(session: Session, port: Port) -> set[str]:
    """Remove the floating IPs and port forwardings of a port that is deleted; return their routers."""
    routers = set()
    for row in session.scalars(select(FloatingIp).where(FloatingIp.port_id == port.id)):
        routers.add(row.router_id or "")
        row.port_id = row.fixed_ip_address = row.router_id = None
        row.status = DOWN
    for forwarding in session.scalars(select(PortForwarding).where(PortForwarding.internal_port_id == port.id)):
        routers.add(remove_forwarding(forwarding))
    session.flush()
    return routers - {""}


def remove_forwarding(forwarding: PortForwarding) -> str:
    """Remove a port forwarding; return the router of its floating IP."""
    row = forwarding.floating_ip
    router_id = row.router_id or ""
    row.port_forwardings.remove(forwarding)
    if not row.port_forwardings:
        row.router_id, row.status = None, DOWN
    return router_id


def check_interface_unused(session: Session, router_id: str, subnet: Subnet) -> None:
    """Refuse to remove a router's interface on *subnet* while floating IPs lead through it."""
    there = select(Address.port_id).where(Address.subnet_id == subnet.id)
    addresses = set(session.scalars(select(Address.ip_address).where(Address.subnet_id == subnet.id)))
    fixed = select(FloatingIp.fixed_ip_address).where(FloatingIp.router_id == router_id, FloatingIp.port_id.in_(there))
    forwarded = (
        select(PortForwarding.internal_ip_address)
        .join(FloatingIp, FloatingIp.id == PortForwarding.floating_ip_id)
        .where(FloatingIp.router_id == router_id, PortForwarding.internal_port_id.in_(there))
    )
    if not addresses.isdisjoint([*session.scalars(fixed), *session.scalars(forwarded)]):
        text = f"Router interface for subnet {subnet.id} on router {router_id} cannot be deleted, as it is required by "
        raise Conflict(f"{text}one or more floating IPs.", kind="RouterInterfaceInUseByFloatingIP")


def check_gateway_unused(session: Session, router_id: str, network_id: str) -> None:
    """Refuse to remove a router's gateway while it has floating IPs."""
    if session.scalar(select(FloatingIp.id).where(FloatingIp.router_id == router_id).limit(1)) is not None:
        text = f"Gateway cannot be updated for router {router_id}, since a gateway to external network {network_id} is "
        raise Conflict(f"{text}required by one or more floating IPs.", kind="RouterExternalGatewayInUseByFloatingIp")


def release(session: Session, row: FloatingIp) -> None:
    """Delete a floating IP with its port."""
    port = session.get_one(Port, row.floating_port_id)
    session.execute(delete(NetworkTag).where(NetworkTag.resource_id.in_([row.id, port.id])))
    session.delete(row)
    session.flush()
    session.delete(port)
    session.flush()


def release_unused(session: Session, network_id: str) -> None:
    """Delete the floating IPs of an external network that lead nowhere."""
    query = select(FloatingIp).where(FloatingIp.floating_network_id == network_id, FloatingIp.router_id.is_(None))
    for row in session.scalars(query).all():
        release(session, row)

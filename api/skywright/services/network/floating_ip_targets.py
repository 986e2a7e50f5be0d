"""The port and the fixed address that a floating IP leads to, as requests name them."""

import netaddr
from sqlalchemy import select

from skywright.http import Conflict, Context
from skywright.services.network.associations import DOWN, router_between, unreachable
from skywright.services.network.errors import bad
from skywright.services.network.ports import PORTS
from skywright.services.network.router_schemas import FloatingIpUpdate
from skywright.services.network.router_tables import FloatingIp
from skywright.services.network.tables import Address, Port, Subnet


def associate(context: Context, row: FloatingIp, item: FloatingIpUpdate) -> bool:
    """Make *row* lead where *item* says; return whether that changed it."""
    given = item.model_fields_set & {"port_id", "fixed_ip_address"}
    if not given:
        return False
    if item.fixed_ip_address and not item.port_id:
        raise bad("floatingip", "fixed_ip_address cannot be specified without a port_id")
    if item.port_id is None:
        if "port_id" not in given or row.port_id is None:
            return False
        row.port_id = row.fixed_ip_address = row.router_id = None
        row.status = DOWN
        return True
    if row.port_forwardings:
        text = f"Floating IP {row.id} in use by Port Forwarding resources."
        raise Conflict(text, kind="FipInUseByPortForwarding")
    port = PORTS.find(context, item.port_id)
    return lead(context, row, port, item.fixed_ip_address)


def lead(context: Context, row: FloatingIp, port: Port, wanted: str | None) -> bool:
    """Make *row* lead to the *wanted* address of *port*, or to its only one; return whether that changed it."""
    address = _address(context, row, port, wanted)
    subnet = context.db.get_one(Subnet, address.subnet_id)
    router_id = router_between(context.db, port, subnet, row.floating_network_id)
    if router_id is None:
        raise unreachable(port, subnet.id, row.floating_network_id)
    before = row.port_id, row.fixed_ip_address, row.router_id
    if before == (port.id, address.ip_address, router_id):
        return False
    other = select(FloatingIp.id).where(
        FloatingIp.floating_network_id == row.floating_network_id,
        FloatingIp.port_id == port.id,
        FloatingIp.fixed_ip_address == address.ip_address,
        FloatingIp.id != row.id,
    )
    if context.db.scalar(other) is not None:
        text = f"Cannot associate floating IP {row.floating_ip_address} ({row.id}) with port {port.id} using fixed IP "
        text += f"{address.ip_address}, as that fixed IP already has a floating IP on external network "
        raise Conflict(f"{text}{row.floating_network_id}.", kind="FloatingIPPortAlreadyAssociated")
    row.port_id, row.fixed_ip_address, row.router_id, row.status = port.id, address.ip_address, router_id, DOWN
    return True


def _address(context: Context, row: FloatingIp, port: Port, wanted: str | None) -> Address:
    """Return the address of *port* that *row* shall lead to; refuse ports that cannot have a floating IP."""
    if port.project_id != row.project_id and not context.is_admin:
        text = f"Cannot process floating IP association with Port {port.id}, since that port is owned by a different "
        raise bad("floatingip", f"{text}project")
    if port.device_owner.startswith("network:"):
        raise bad("floatingip", f"Port {port.id} is unable to be assigned a floating IP")
    if wanted is not None:
        if netaddr.IPAddress(wanted).version != 4:
            text = f"Cannot process floating IP association with {wanted}, since that is not an IPv4 address"
            raise bad("floatingip", text)
        found = next((each for each in port.addresses if each.ip_address == wanted), None)
        if found is None:
            raise bad("floatingip", f"Port {port.id} does not have fixed ip {wanted}")
        return found
    four = [each for each in port.addresses if ":" not in each.ip_address]
    if not four:
        raise bad("floatingip", f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
    if len(four) > 1:
        text = f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when "
        raise bad("floatingip", f"{text}assigning a floating IP")
    return four[0]

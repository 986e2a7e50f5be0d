"""The uses of ports by routers and floating IPs, which some changes of ports would break."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.http import Conflict, Context
from skywright.services.network.errors import bad
from skywright.services.network.router_ports import OWNERS
from skywright.services.network.router_tables import FloatingIp, PortForwarding
from skywright.services.network.tables import Port


def check_deletion(context: Context, port: Port) -> None:
    """Refuse to delete a port of a router or floating IP, or one that a floating IP of another project leads to."""
    if port.device_owner in OWNERS:
        text = f"Port {port.id} cannot be deleted directly via the port API: has device owner {port.device_owner}."
        raise Conflict(text, kind="ServicePortInUse")
    others = select(FloatingIp.id).where(
        FloatingIp.port_id == port.id, FloatingIp.project_id != context.caller.project_id
    )
    if not context.is_admin and context.db.scalar(others.limit(1)) is not None:
        text = f"Unable to complete the operation on port {port.id} because the port still has an associated floating "
        raise Conflict(f"{text}IP.", kind="FipAssociated")


def check_addresses(session: Session, port: Port, fixed_ips: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to change the addresses of a port of a router, or to remove an address that a floating IP leads to."""
    if port.device_owner in OWNERS:
        text = f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
        raise Conflict(f"{text}attached device {port.device_id}.", kind="PortInUse")
    kept = {entry["ip_address"] for entry in fixed_ips}
    used = set(session.scalars(select(FloatingIp.fixed_ip_address).where(FloatingIp.port_id == port.id)))
    forwarded = select(PortForwarding.internal_ip_address).where(PortForwarding.internal_port_id == port.id)
    if (used | set(session.scalars(forwarded))) - kept:
        text = f"Cannot update the fixed_ips of the port {port.id}, because its original fixed_ip has been associated "
        raise bad("port", f"{text}to a floating ip")

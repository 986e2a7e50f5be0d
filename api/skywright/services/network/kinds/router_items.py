"""Items of routers, and the network hosts that they are on."""

from collections.abc import Sequence

import netaddr
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.core import Item
from skywright.db.jobs import Host
from skywright.services.network.router_ports import GATEWAY
from skywright.services.network.router_tables import FloatingIp, PortForwarding, Router
from skywright.services.network.tables import Address, Network, Port, Subnet


def place(session: Session, router: Router, ports: Sequence[Port]) -> bool:
    """Put *router* with its *ports* on a network host, unless it is on one; return whether it is on a host now."""
    if not router.host:
        router.host = _least_used(session) or ""
    for port in ports:
        port.host = router.host
    return bool(router.host)


def _least_used(session: Session) -> str | None:
    """Return the enabled network host with the fewest routers; a host without networks only if there is no other."""
    used = select(Router.host, func.count()).where(Router.deleted_at.is_(None)).group_by(Router.host)
    counts = {row[0]: row[1] for row in session.execute(used)}
    hosts = [
        host for host in session.scalars(select(Host)) if "networks" in host.groups and host.condition == "enabled"
    ]
    best = min(hosts, key=lambda host: (host.is_null, counts.get(host.name, 0), host.name), default=None)
    return best.name if best else None


def router_item(session: Session, router: Router, ports: Sequence[Port]) -> Item:
    """Return the item of a router with its *ports*; see `plugins/module_utils/router_spec.py`."""
    subnets = _subnets(session, ports)
    gateway = next((port for port in ports if port.device_owner == GATEWAY), None)
    outside = gateway.addresses if gateway else []
    floating = session.scalars(
        select(FloatingIp).where(FloatingIp.router_id == router.id).order_by(FloatingIp.id)
    ).all()
    return {
        "id": router.id,
        "state": "present",
        "admin_state_up": router.admin_state_up,
        "interfaces": [_interface(session, port, subnets) for port in ports],
        "gateways": [ip for each in outside if (ip := subnets[each.subnet_id].gateway_ip)],
        "enable_snat": router.enable_snat,
        "snat_address": next((each.ip_address for each in outside if ":" not in each.ip_address), None),
        "routes": list(router.routes),
        "floating_ips": [
            {"id": row.id, "floating_ip_address": row.floating_ip_address, "fixed_ip_address": row.fixed_ip_address}
            for row in floating
            if row.port_id is not None
        ],
        "port_forwardings": [_forwarding(row, each) for row in floating for each in row.port_forwardings],
    }


def _subnets(session: Session, ports: Sequence[Port]) -> dict[str, Subnet]:
    ids = select(Address.subnet_id).where(Address.port_id.in_([port.id for port in ports]))
    return {subnet.id: subnet for subnet in session.scalars(select(Subnet).where(Subnet.id.in_(ids)))}


def _interface(session: Session, port: Port, subnets: dict[str, Subnet]) -> Item:
    return {
        "port_id": port.id,
        "mac": port.mac_address,
        "mtu": session.get_one(Network, port.network_id).mtu,
        "addresses": [f"{each.ip_address}/{_prefix(subnets[each.subnet_id])}" for each in port.addresses],
        "external": port.device_owner == GATEWAY,
    }


def _prefix(subnet: Subnet) -> int:
    return int(netaddr.IPNetwork(subnet.cidr).prefixlen)


def _forwarding(row: FloatingIp, forwarding: PortForwarding) -> Item:
    values = {name: getattr(forwarding, name) for name in ("id", "protocol", "internal_ip_address", *_PORTS)}
    return {**values, "floating_ip_address": row.floating_ip_address}


_PORTS = ("external_port_min", "external_port_max", "internal_port_min", "internal_port_max")

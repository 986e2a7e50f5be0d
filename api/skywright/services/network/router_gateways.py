"""Gateways of routers: their ports on external networks."""

from typing import Any

import netaddr
from sqlalchemy import select

from skywright.http import Context
from skywright.services.network import ipam
from skywright.services.network.associations import check_gateway_unused
from skywright.services.network.errors import bad
from skywright.services.network.networks import visible_network
from skywright.services.network.router_ports import GATEWAY, entry_of, gateway_of, ports_of
from skywright.services.network.router_routes import check_routes
from skywright.services.network.router_schemas import Gateway
from skywright.services.network.router_tables import Router
from skywright.services.network.tables import Network, Port, Subnet

Gone = list[dict[str, str]]


def set_gateway(context: Context, router: Router, wanted: Gateway) -> Gone:
    """Give *router* the gateway *wanted*; return the port that it loses, if any."""
    network = visible_network(context, wanted.network_id)
    if not network.external:
        raise bad("router", f"Network {network.id} is not an external network")
    subnets = ipam.subnets_of(context.db, network.id)
    fixed_ips = [entry.model_dump() for entry in wanted.external_fixed_ips]
    for entry in fixed_ips:
        if entry["ip_address"] and entry["ip_address"] in {subnet.gateway_ip for subnet in subnets}:
            raise bad("router", f"External IP {entry['ip_address']} is the same as the gateway IP")
    port = gateway_of(context.db, router.id)
    gone: Gone = []
    if port is not None and port.network_id == network.id:
        if fixed_ips and _differ(port, fixed_ips):
            ipam.set_addresses(context.db, port, network, fixed_ips)
    else:
        gone = remove_gateway(context, router)
        check_subnets(context, router, subnets)
        _create(context, router, network, fixed_ips)
    router.enable_snat = wanted.enable_snat
    check_routes(context.db, router, router.routes)
    return gone


def remove_gateway(context: Context, router: Router) -> Gone:
    """Remove the gateway of *router*; return its port, if it had one."""
    router.enable_snat = True
    port = gateway_of(context.db, router.id)
    if port is None:
        return []
    check_gateway_unused(context.db, router.id, port.network_id)
    entry = entry_of(port)
    ipam.delete_port(context.db, port)
    check_routes(context.db, router, router.routes)
    return [entry]


def check_subnets(context: Context, router: Router, new: list[Subnet]) -> None:
    """Refuse *new* subnets of *router* that it has already, or that overlap with those that it has."""
    ids = {subnet.id for subnet in new}
    used: dict[str, Subnet] = {}
    for port in ports_of(context.db, [router.id]).get(router.id, []):
        for address in port.addresses:
            if address.subnet_id in ids:
                raise bad("router", f"Router already has a port on subnet {address.subnet_id}")
        there = ipam.subnets_of(context.db, port.network_id)
        own = {address.subnet_id for address in port.addresses}
        used |= {subnet.id: subnet for subnet in there if port.device_owner == GATEWAY or subnet.id in own}
    for have in used.values():
        for subnet in new:
            if _overlap(have.cidr, subnet.cidr):
                text = f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {have.cidr} of subnet {have.id}"
                raise bad("router", text)


def add_version(context: Context, network: Network, subnet: Subnet) -> set[str]:
    """Give the gateways on an external network an address of its new *subnet*, unless they have one of the same IP
    version; return their routers.
    """
    routers = set()
    for port in context.db.scalars(select(Port).where(Port.network_id == network.id, Port.device_owner == GATEWAY)):
        if all(netaddr.IPAddress(each.ip_address).version != subnet.ip_version for each in port.addresses):
            kept: list[dict[str, Any]] = [{"subnet_id": each.subnet_id} for each in port.addresses]
            ipam.set_addresses(context.db, port, network, [*kept, {"subnet_id": subnet.id}])
            routers.add(port.device_id)
    return routers


def _overlap(one: str, other: str) -> bool:
    first, second = netaddr.IPNetwork(one), netaddr.IPNetwork(other)
    return first in second or second in first


def _differ(port: Port, fixed_ips: list[dict[str, Any]]) -> bool:
    have = {(each.subnet_id, each.ip_address) for each in port.addresses}
    subnets = {entry["subnet_id"] for entry in fixed_ips if entry["subnet_id"]}
    addresses = {entry["ip_address"] for entry in fixed_ips if entry["ip_address"]}
    return subnets != {subnet for subnet, _ in have} or addresses != {address for _, address in have}


def _create(context: Context, router: Router, network: Network, fixed_ips: list[dict[str, Any]]) -> None:
    # The port belongs to no project, so that the router's users cannot change it.
    ipam.create_port(
        context.db,
        network,
        "",
        fixed_ips=fixed_ips or None,
        device_id=router.id,
        device_owner=GATEWAY,
        host=router.host,
        port_security_enabled=False,
    )

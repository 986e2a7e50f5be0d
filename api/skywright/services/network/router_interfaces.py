"""Interfaces of routers on internal networks, and atomic changes of their extra routes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import netaddr
from sqlalchemy import select

from skywright import http
from skywright.http import BadRequest, Conflict, Context, NotFound
from skywright.http.policy import on_target
from skywright.services.network import associations, ipam, router_routes, schemas
from skywright.services.network.errors import bad
from skywright.services.network.ports import PORTS
from skywright.services.network.router_gateways import check_subnets
from skywright.services.network.router_ports import INTERFACE, entry_of, interfaces_of, refresh
from skywright.services.network.router_schemas import ExtraRoutes, RouterInterface
from skywright.services.network.router_tables import Router
from skywright.services.network.routers import ROUTERS
from skywright.services.network.sharing import targets
from skywright.services.network.standard import check_revision, touch
from skywright.services.network.subnets import SUBNETS
from skywright.services.network.tables import Port, Subnet

router = http.Router()
ONE = "/v2.0/routers/{identifier}"
SEEING = ROUTERS.guard.seeing


@router.operation("PUT", f"{ONE}/add_router_interface", policy=on_target("add_router_interface"))
def add_interface(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
    row = _changeable(context, identifier)
    wanted = _wanted(body)
    if wanted.port_id and wanted.subnet_id:
        raise bad("router", "Cannot specify both subnet-id and port-id")
    if wanted.port_id:
        port, subnets = _attach(context, row, PORTS.find(context, wanted.port_id))
    else:
        port, subnets = _add(context, row, SUBNETS.find(context, wanted.subnet_id or ""))
    touch(row)
    refresh(context, [row.id])
    return _view(row, port, subnets)


@router.operation("PUT", f"{ONE}/remove_router_interface", policy=on_target("remove_router_interface"))
def remove_interface(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
    row = _changeable(context, identifier)
    wanted = _wanted(body)
    port, subnets = _to_remove(context, row, wanted)
    for subnet in subnets:
        associations.check_interface_unused(context.db, row.id, subnet)
        router_routes.check_interface_unused(row, subnet)
    view, gone = _view(row, port, subnets), []
    kept = [each for each in port.addresses if each.subnet_id not in view["subnet_ids"]]
    if kept:
        port.addresses = kept
    else:
        gone = [entry_of(port)]
        ipam.delete_port(context.db, port)
    touch(row)
    refresh(context, [row.id], gone)
    return view


Change = Callable[[list[Any], list[Any]], list[Any]]


def _added(have: list[Any], more: list[Any]) -> list[Any]:
    return [*have, *(route for route in more if route not in have)]


def _removed(have: list[Any], less: list[Any]) -> list[Any]:
    return [route for route in have if route not in less]


@router.operation("PUT", f"{ONE}/add_extraroutes", policy=on_target("add_extraroutes", also=SEEING))
def add_routes(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
    return _change_routes(context, identifier, body, _added)


@router.operation("PUT", f"{ONE}/remove_extraroutes", policy=on_target("remove_extraroutes", also=SEEING))
def remove_routes(context: Context, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
    return _change_routes(context, identifier, body, _removed)


def _change_routes(context: Context, identifier: str, body: Mapping[str, Any], change: Change) -> dict[str, Any]:
    row = _changeable(context, identifier)
    given = [route.model_dump() for route in schemas.one(ExtraRoutes, body, "router").routes]
    router_routes.set_routes(context, row, change(row.routes, given))
    touch(row)
    refresh(context, [row.id])
    return {"router": ROUTERS.render(context, [row])[0]}


def _changeable(context: Context, identifier: str) -> Router:
    row = ROUTERS.permitted(context, identifier)
    check_revision(context, row)
    return row


def _wanted(body: Mapping[str, Any]) -> RouterInterface:
    wanted = schemas.parse(RouterInterface, body)
    if not (wanted.port_id or wanted.subnet_id):
        raise bad("router", "Either subnet_id or port_id must be specified")
    return wanted


def _view(row: Router, port: Port, subnets: Sequence[Subnet]) -> dict[str, Any]:
    return {
        "id": row.id,
        "tenant_id": port.project_id,
        "project_id": port.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": subnets[-1].id,
        "subnet_ids": [subnet.id for subnet in subnets],
    }


def _add(context: Context, row: Router, subnet: Subnet) -> tuple[Port, list[Subnet]]:
    """Add an interface with the gateway address of *subnet*."""
    if not subnet.gateway_ip:
        raise bad("router", "Subnet for router interface must have a gateway IP")
    mine = context.caller.project_id
    if subnet.project_id != mine and not context.is_admin and mine not in targets(subnet.network):
        text = f"Cannot add interface to router because subnet {subnet.id} is not owned by project making the request"
        raise bad("router", text)
    check_subnets(context, row, [subnet])
    fixed_ip = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
    if subnet.ip_version == 6:
        port = _ipv6_interface(context, row, subnet.network_id)
        if port is not None:
            kept = [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in port.addresses]
            ipam.set_addresses(context.db, port, subnet.network, [*kept, fixed_ip])
            return port, [subnet]
    port = ipam.create_port(
        context.db,
        subnet.network,
        row.project_id,
        fixed_ips=[fixed_ip],
        device_id=row.id,
        device_owner=INTERFACE,
        host=row.host,
        port_security_enabled=False,
    )
    return port, [subnet]


def _attach(context: Context, row: Router, port: Port) -> tuple[Port, list[Subnet]]:
    """Make an unused port an interface."""
    if port.device_id or port.device_owner:
        text = f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
        raise Conflict(f"{text}attached device {port.device_id}.", kind="PortInUse")
    if not port.addresses:
        raise bad("router", "Router port must have at least one fixed IP")
    subnets = _subnets(context, port)
    six = [subnet for subnet in subnets if subnet.ip_version == 6]
    other = _ipv6_interface(context, row, port.network_id) if six else None
    if other is not None:
        text = f"Router already contains IPv6 port {other.id} belonging to network id {other.network_id}. Only one "
        raise bad("router", f"{text}IPv6 port from the same network subnet can be connected to a router")
    check_subnets(context, row, subnets)
    if len(subnets) - len(six) > 1:
        raise bad("router", "Cannot have multiple IPv4 subnets on router port")
    _check_pools(context, port, subnets)
    port.device_id, port.device_owner, port.host, port.status = row.id, INTERFACE, row.host, "DOWN"
    port.port_security_enabled, port.allowed_address_pairs = False, []
    touch(port)
    return port, subnets


def _check_pools(context: Context, port: Port, subnets: Sequence[Subnet]) -> None:
    """Refuse an address that the subnet's owner did not mean for others' ports."""
    by_id = {subnet.id: subnet for subnet in subnets}
    for address in port.addresses:
        subnet = by_id[address.subnet_id]
        if context.is_admin or subnet.project_id == context.caller.project_id:
            continue
        ranges = [netaddr.IPRange(pool["start"], pool["end"]) for pool in subnet.allocation_pools]
        if not any(address.ip_address in each for each in ranges):
            text = f"Cannot add interface to router because specified port {port.id} has an IP address out of the "
            text += f"allocation pool of subnet {subnet.id}, which is not owned by the project making the request"
            raise bad("router", text)


def _ipv6_interface(context: Context, row: Router, network_id: str) -> Port | None:
    """Return the interface of a router on a network that has IPv6 addresses."""
    for port in interfaces_of(context.db, row.id):
        if port.network_id == network_id and any(":" in address.ip_address for address in port.addresses):
            return port
    return None


def _subnets(context: Context, port: Port) -> list[Subnet]:
    ids = {address.subnet_id for address in port.addresses}
    return list(context.db.scalars(select(Subnet).where(Subnet.id.in_(ids)).order_by(Subnet.created_at, Subnet.id)))


def _to_remove(context: Context, row: Router, wanted: RouterInterface) -> tuple[Port, list[Subnet]]:
    """Return the interface to remove, or to take the wanted subnet's address from, and the subnets concerned."""
    interfaces = interfaces_of(context.db, row.id)
    if wanted.port_id:
        port = next((port for port in interfaces if port.id == wanted.port_id), None)
        if port is None:
            text = f"Router {row.id} does not have an interface with id {wanted.port_id}"
            raise NotFound(text, kind="RouterInterfaceNotFound")
        if wanted.subnet_id and wanted.subnet_id not in {address.subnet_id for address in port.addresses}:
            text = f"Subnet on port {port.id} does not match the requested subnet {wanted.subnet_id}."
            raise BadRequest(text, kind="SubnetMismatchForPort")
        return port, _subnets(context, port)
    subnet = SUBNETS.find(context, wanted.subnet_id or "")
    for port in interfaces:
        if subnet.id in {address.subnet_id for address in port.addresses}:
            return port, [subnet]
    text = f"Router {row.id} has no interface on subnet {subnet.id}"
    raise NotFound(text, kind="RouterInterfaceNotFoundForSubnet")

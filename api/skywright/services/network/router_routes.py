"""Extra routes of routers."""

from collections.abc import Sequence
from typing import Any

import netaddr
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.http import BadRequest, Conflict, Context
from skywright.services.network.router_ports import ports_of
from skywright.services.network.router_schemas import MAX_ROUTES
from skywright.services.network.router_tables import Router
from skywright.services.network.tables import Subnet

Route = dict[str, Any]


def set_routes(context: Context, router: Router, routes: list[Route]) -> None:
    """Give *router* its extra *routes*."""
    check_routes(context.db, router, routes)
    if len(routes) > MAX_ROUTES:
        raise Conflict("Quota exceeded for resources: ['router_route'].", kind="OverQuota")
    router.routes = routes


def check_routes(session: Session, router: Router, routes: Sequence[Route]) -> None:
    """Refuse routes whose next hop is on no subnet of *router*, or is an address of the router."""
    if not routes:
        return
    addresses = [each for port in ports_of(session, [router.id]).get(router.id, []) for each in port.addresses]
    ids = {each.subnet_id for each in addresses}
    cidrs = list(session.scalars(select(Subnet.cidr).where(Subnet.id.in_(ids))))
    own = {each.ip_address for each in addresses}
    for route in routes:
        if netaddr.IPNetwork(route["destination"]).version != netaddr.IPAddress(route["nexthop"]).version:
            raise _invalid(routes, "the destination and the nexthop have different IP versions")
        if not netaddr.all_matching_cidrs(route["nexthop"], cidrs):
            raise _invalid(routes, "the nexthop is not connected with router")
        if route["nexthop"] in own:
            raise _invalid(routes, "the nexthop is used by router")


def check_interface_unused(router: Router, subnet: Subnet) -> None:
    """Refuse to remove the interface on *subnet* while a route leads through it."""
    if any(netaddr.IPAddress(route["nexthop"]) in netaddr.IPNetwork(subnet.cidr) for route in router.routes):
        text = f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required by "
        raise Conflict(f"{text}one or more routes.", kind="RouterInterfaceInUseByRoute")


def _invalid(routes: Sequence[Route], reason: str) -> BadRequest:
    return BadRequest(f"Invalid format for routes: {list(routes)}, {reason}", kind="InvalidRoutes")

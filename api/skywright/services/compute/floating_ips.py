"""Nova's older calls for floating IPs. https://docs.openstack.org/api-ref/compute/#floating-ips-os-floating-ips-deprecated"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Response
from pydantic import Field

from skywright.errors import ApiError
from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.microversions import until
from skywright.services.compute import server_action_bodies as bodies
from skywright.services.compute.server_states import find_server
from skywright.services.compute.server_views import FIXED, interfaces_of
from skywright.services.compute.tables import Server
from skywright.services.network.internal import FloatingIp, Network, floating_ip_proxy

router = Router()
PATH, RULE = "/v2.1/os-floating-ips", "os_compute_api:os-floating-ips"
LAST, LAST_ACTION = 35, 43  # the last microversions of the calls, and of the actions of servers


class Pool(Strict):
    pool: Annotated[str, Field(max_length=255)] | None = None


@router.operation("GET", "/v2.1/os-floating-ip-pools", policy="os_compute_api:os-floating-ip-pools")
def list_pools(context: Context) -> dict[str, Any]:
    until(context, LAST)
    return {"floating_ip_pools": [{"name": _name(each)} for each in floating_ip_proxy().pools(context)]}


@router.operation("GET", PATH, policy=f"{RULE}:list")
def list_floating_ips(context: Context) -> dict[str, Any]:
    until(context, LAST)
    return {"floating_ips": [_view(row) for row in floating_ip_proxy().listed(context)]}


@router.operation("POST", PATH, policy=f"{RULE}:create")
def create_floating_ip(context: Context, body: Pool | None = None) -> dict[str, Any]:
    until(context, LAST)
    pool = body.pool if body else None
    try:
        return {"floating_ip": _view(floating_ip_proxy().allocate(context, pool))}
    except Conflict as error:
        which = f" in pool {pool}." if pool else "."
        if error.kind == "OverQuota":
            raise Forbidden(f"IP allocation over quota{which}") from error
        raise NotFound(f"No more floating IPs{which if pool else ' available.'}") from error


@router.operation("GET", f"{PATH}/{{identifier}}", policy=f"{RULE}:show")
def show_floating_ip(context: Context, identifier: str) -> dict[str, Any]:
    until(context, LAST)
    return {"floating_ip": _view(_find(context, identifier))}


@router.operation("DELETE", f"{PATH}/{{identifier}}", policy=f"{RULE}:delete", status=202)
def delete_floating_ip(context: Context, identifier: str) -> Response:
    until(context, LAST)
    floating_ip_proxy().delete(context, _find(context, identifier))
    return Response(status_code=202)


def add_floating_ip(context: Context, server_id: str, argument: Any) -> None:
    """Do the action `addFloatingIp`: associate a floating IP with a fixed address of the server."""
    until(context, LAST_ACTION)
    wanted = bodies.argument(bodies.AddFloatingIp, "addFloatingIp", argument)
    server = find_server(context, server_id, f"{RULE}:add")
    fixed = _fixed_address(context, server, wanted)
    row = _by_address(context, wanted.address)
    try:
        floating_ip_proxy().associate(context, row, server.id, fixed)
    except Forbidden:
        raise
    except ApiError as error:
        text = f"Unable to associate floating IP {wanted.address} to fixed IP {fixed} for instance {server.id}. Error: "
        raise BadRequest(f"{text}{error.message}") from error


def remove_floating_ip(context: Context, server_id: str, argument: Any) -> None:
    """Do the action `removeFloatingIp`."""
    until(context, LAST_ACTION)
    address = bodies.argument(bodies.RemoveFloatingIp, "removeFloatingIp", argument).address
    server = find_server(context, server_id, f"{RULE}:remove")
    row = _by_address(context, address)
    if row.port is None or row.port.device_id != server.id:
        raise Conflict(f"Floating IP {address} is not associated with instance {server.id}.")
    floating_ip_proxy().disassociate(context, row)


def _fixed_address(context: Context, server: Server, wanted: bodies.AddFloatingIp) -> str:
    """Return the server's address that is meant: the one in the request, or its first IPv4 address."""
    interfaces = interfaces_of(context.db, [server.id]).get(server.id, ())
    fixed = [ip for _, ip, _, kind in interfaces if kind == FIXED]
    if not fixed:
        raise BadRequest("No fixed IPs associated to instance")
    if wanted.fixed_address is not None:
        if wanted.fixed_address not in fixed:
            raise BadRequest("Specified fixed address not assigned to instance")
        return wanted.fixed_address
    found = next((ip for ip in fixed if ":" not in ip), None)
    if found is None:
        text = f"Unable to associate floating IP {wanted.address} to any fixed IPs for instance {server.id}. Instance "
        raise BadRequest(f"{text}has no fixed IPv4 addresses to associate.")
    return found


def _find(context: Context, identifier: str) -> FloatingIp:
    try:
        row: FloatingIp = floating_ip_proxy().find(context, identifier)
    except NotFound:
        raise NotFound(f"Floating IP not found for ID {identifier}") from None
    return row


def _by_address(context: Context, address: str) -> FloatingIp:
    found: Sequence[FloatingIp] = floating_ip_proxy().listed(context, address)
    if not found:
        raise NotFound("floating IP not found")
    if len(found) > 1:
        raise Conflict(f"Multiple floating IPs are found for address {address}.")
    return found[0]


def _view(row: FloatingIp) -> dict[str, Any]:
    return {
        "id": row.id,
        "ip": row.floating_ip_address,
        "fixed_ip": row.fixed_ip_address,
        "instance_id": row.port.device_id or None if row.port else None,
        "pool": _name(row.network),
    }


def _name(network: Network) -> str:
    return network.name or network.id

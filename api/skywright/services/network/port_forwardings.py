"""Port forwardings of floating IPs."""

from typing import Any

from sqlalchemy import select

from skywright import http
from skywright.http import Conflict, Context, NotFound
from skywright.http.policy import on_target
from skywright.services.network import listing, schemas
from skywright.services.network.associations import DOWN, remove_forwarding, router_between
from skywright.services.network.errors import bad
from skywright.services.network.floating_ips import FLOATING_IPS
from skywright.services.network.port_ranges import Range, check_collisions, external_range, internal_range, shown
from skywright.services.network.ports import PORTS
from skywright.services.network.resource import chosen
from skywright.services.network.router_ports import refresh
from skywright.services.network.router_schemas import PortForwardingCreate, PortForwardingUpdate
from skywright.services.network.router_tables import FloatingIp, PortForwarding
from skywright.services.network.standard import touch
from skywright.services.network.tables import Address, Port, Subnet
from skywright.services.network.targets import owned

router = http.Router()
NAME, COLLECTION = "port_forwarding", "port_forwardings"
ALL = f"/v2.0/floatingips/{{floatingip_id}}/{COLLECTION}"
ONE = f"{ALL}/{{identifier}}"
RULE = "floatingip_port_forwarding"
FILTERS = listing.Listing(
    PortForwarding,
    "PortForwarding",
    columns={
        "id": PortForwarding.id,
        "protocol": PortForwarding.protocol,
        "external_port": PortForwarding.external_port_min,
        "internal_port_id": PortForwarding.internal_port_id,
        "description": PortForwarding.description,
    },
)


@router.operation("GET", ALL, policy=on_target(f"get_{RULE}"))
def list_forwardings(context: Context, floatingip_id: str) -> dict[str, Any]:
    row = _parent(context, floatingip_id)
    query = select(PortForwarding).where(PortForwarding.floating_ip_id == row.id)
    found, links = FILTERS.page(context, query, COLLECTION)
    return {COLLECTION: chosen([_view(each) for each in found], listing.query_of(context))} | links


@router.operation("POST", ALL, policy=on_target(f"create_{RULE}"), status=201)
def create_forwarding(context: Context, floatingip_id: str, body: dict[str, Any]) -> dict[str, Any]:
    row = _parent(context, floatingip_id)
    item = schemas.one(PortForwardingCreate, body, NAME)
    forwarding = PortForwarding(
        project_id=row.project_id,
        protocol=item.protocol,
        description=item.description,
        internal_port_id=item.internal_port_id,
    )
    outside, inside = external_range(item), internal_range(item)
    if outside is None or inside is None:
        missing = "external_port" if outside is None else "internal_port"
        raise bad(NAME, f"{missing} or {missing}_range must be specified")
    _set_ranges(forwarding, outside, inside)
    if row.port_id is not None:
        text = f"Cannot associate floating IP {row.floating_ip_address} ({row.id}) with port {item.internal_port_id} "
        text += f"using fixed IP {item.internal_ip_address}, as that fixed IP already has a floating IP on external "
        raise Conflict(f"{text}network {row.floating_network_id}.", kind="FloatingIPPortAlreadyAssociated")
    _set_target(context, row, forwarding, item)
    check_collisions(context.db, row, forwarding)
    row.port_forwardings.append(forwarding)
    _changed(context, row)
    return {NAME: _view(forwarding)}


@router.operation("GET", ONE, policy=on_target(f"get_{RULE}"))
def show_forwarding(context: Context, floatingip_id: str, identifier: str) -> dict[str, Any]:
    view = _view(_find(_parent(context, floatingip_id), identifier))
    return {NAME: chosen([view], listing.query_of(context))[0]}


@router.operation("PUT", ONE, policy=on_target(f"update_{RULE}"))
def update_forwarding(context: Context, floatingip_id: str, identifier: str, body: dict[str, Any]) -> dict[str, Any]:
    row = _parent(context, floatingip_id)
    forwarding = _find(row, identifier)
    item = schemas.one(PortForwardingUpdate, body, NAME)
    for name, value in item.given("description", "protocol").items():
        setattr(forwarding, name, value)
    outside = external_range(item) or (forwarding.external_port_min, forwarding.external_port_max)
    inside = internal_range(item) or (forwarding.internal_port_min, forwarding.internal_port_max)
    _set_ranges(forwarding, outside, inside)
    if item.model_fields_set & {"internal_port_id", "internal_ip_address"}:
        _set_target(context, row, forwarding, item)
    check_collisions(context.db, row, forwarding)
    _changed(context, row)
    return {NAME: _view(forwarding)}


@router.operation("DELETE", ONE, policy=on_target(f"delete_{RULE}"), status=204)
def delete_forwarding(context: Context, floatingip_id: str, identifier: str) -> None:
    row = _parent(context, floatingip_id)
    router_id = remove_forwarding(_find(row, identifier))
    touch(row)
    refresh(context, [router_id])


def _parent(context: Context, identifier: str) -> FloatingIp:
    """Return the floating IP if the route's rule allows the request for its project."""
    row = FLOATING_IPS.find(context, identifier)
    context.enforce(context.rules[0], owned(row.project_id) | {"ext_parent:project_id": row.project_id})
    return row


def _find(row: FloatingIp, identifier: str) -> PortForwarding:
    found = next((each for each in row.port_forwardings if each.id == identifier), None)
    if found is None:
        raise NotFound(f"Port Forwarding {identifier} could not be found.", kind="PortForwardingNotFound")
    return found


def _changed(context: Context, row: FloatingIp) -> None:
    row.status = DOWN  # until the job ends
    touch(row)
    context.db.flush()
    refresh(context, [row.router_id or ""])


def _set_ranges(forwarding: PortForwarding, outside: Range, inside: Range) -> None:
    width = inside[1] - inside[0]
    if width and width != outside[1] - outside[0]:
        text = "Invalid ranges of internal and/or external ports. The relation between internal and external ports must"
        raise bad(NAME, f"{text} be N-N or 1-N")
    forwarding.external_port_min, forwarding.external_port_max = outside
    forwarding.internal_port_min, forwarding.internal_port_max = inside


def _set_target(context: Context, row: FloatingIp, forwarding: PortForwarding, item: PortForwardingUpdate) -> None:
    """Make *forwarding* lead to the port and the address in *item*, if the floating IP's router reaches them."""
    port = PORTS.find(context, item.internal_port_id or forwarding.internal_port_id)
    _check_port(context, row, port)
    address = _address(port, item.internal_ip_address)
    subnet = context.db.get_one(Subnet, address.subnet_id)
    router_id = router_between(context.db, port, subnet, row.floating_network_id)
    if router_id is None:
        text = f"External network {row.floating_network_id} is not reachable from subnet {subnet.id}. Cannot set Port "
        raise bad(NAME, f"{text}forwarding for port {port.id} with Floating IP {row.id}")
    if row.router_id not in (None, router_id):
        text = f"The Floating IP {row.id} had been set on router {row.router_id}, the internal Neutron port {port.id} "
        raise bad(NAME, f"{text}can not reach it")
    row.router_id = router_id
    forwarding.internal_port_id, forwarding.internal_ip_address = port.id, address.ip_address


def _check_port(context: Context, row: FloatingIp, port: Port) -> None:
    if port.project_id != row.project_id and not context.is_admin:
        text = f"Cannot process floating IP association with Port {port.id}, since that port is owned by a different "
        raise bad("floatingip", f"{text}project")
    bound = context.db.scalar(select(FloatingIp).where(FloatingIp.port_id == port.id).limit(1))
    if bound is not None:
        text = f"Cannot create port forwarding to floating IP {bound.floating_ip_address} ({bound.id}) with port "
        text += f"{port.id} using fixed IP {bound.fixed_ip_address}, as that port already has a binding floating IP."
        raise Conflict(text, kind="PortHasBindingFloatingIP")


def _address(port: Port, wanted: str | None) -> Address:
    four = [each for each in port.addresses if ":" not in each.ip_address]
    if not four:
        raise bad(NAME, f"Requested internal port {port.id} must allocate an IPv4 address at least.")
    found = [each for each in four if wanted in (None, each.ip_address)]
    if not found:
        have = [{"subnet_id": each.subnet_id, "ip_address": each.ip_address} for each in four]
        text = f"Requested internal IP address {wanted} is not suitable for internal neutron port {port.id}, as its "
        raise bad(NAME, f"{text}fixed_ips are {have}")
    return found[0]


def _view(row: PortForwarding) -> dict[str, Any]:
    return {
        "id": row.id,
        "description": row.description,
        "protocol": row.protocol,
        "internal_port_id": row.internal_port_id,
        "internal_ip_address": row.internal_ip_address,
        **shown("external", row.external_port_min, row.external_port_max),
        **shown("internal", row.internal_port_min, row.internal_port_max),
    }

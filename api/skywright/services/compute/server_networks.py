"""Which ports a new server gets: the user's own, or new ones on the networks that he names."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from skywright.errors import ApiError
from skywright.http import BadRequest, Conflict, Context, Forbidden
from skywright.http.microversions import version_of
from skywright.services.compute.server_bodies import NetworkWish
from skywright.services.compute.tables import Server
from skywright.services.network.internal import Network, Port, authorize_port, check_quota, create_port

OWNER = "compute:nova"


@dataclass(frozen=True)
class Interface:
    """One interface to be: an existing *port*, or a new port on *network*."""

    network: Network
    port: Port | None = None
    fixed_ip: str | None = None


def wanted_interfaces(context: Context, wish: Sequence[NetworkWish] | str | None, count: int) -> list[Interface]:
    """What the `networks` field of *count* new servers means.

    Raises BadRequest and Conflict as Nova does.
    """
    version = version_of(context)
    if version >= 37 and (wish is None or wish == []):
        raise BadRequest("Invalid input for field/attribute server. 'networks' is a required property")
    if isinstance(wish, str) and version < 37:
        raise BadRequest(f"Invalid input for field/attribute networks. Value: {wish}. '{wish}' is not of type 'array'")
    if wish == "none":
        return []
    if not wish or isinstance(wish, str):
        return _automatic(context, required=wish == "auto")
    _check_ports(wish, count)
    return [_interface(context, item) for item in wish]


def _check_ports(wish: Sequence[NetworkWish], count: int) -> None:
    """Several servers cannot share a port or an address, nor can one server have a port twice."""
    if count > 1 and any(item.fixed_ip for item in wish if item.port is None):
        raise BadRequest("Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified.")
    ports = [item.port for item in wish if item.port is not None]
    if count > 1 and ports:
        raise BadRequest(
            "Failed to launch instances: Unable to launch multiple instances with a single configured port ID. "
            "Please launch your instance one by one with different ports."
        )
    for index, port in enumerate(ports):
        if port in ports[:index]:
            raise BadRequest(f"Port ID '{port}' was specified twice: you cannot attach a port multiple times.")


def _automatic(context: Context, *, required: bool) -> list[Interface]:
    """The one network that the project can use."""
    project = context.project_id
    query = (
        select(Network)
        .where(Network.deleted_at.is_(None), or_(Network.project_id == project, Network.shared))
        .where(Network.subnets.any())
        .limit(2)
    )
    found = list(context.db.scalars(query))
    if len(found) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    if required and not found:
        raise BadRequest(f"Unable to automatically allocate a network for project {project}")
    return [Interface(network) for network in found]


def _interface(context: Context, wish: NetworkWish) -> Interface:
    if wish.port is not None:
        return _existing(context, wish)
    if wish.uuid is None:
        raise BadRequest("Invalid input for field/attribute networks. Each network needs a uuid or a port.")
    network = context.db.get(Network, wish.uuid)
    if network is None or network.deleted_at is not None or not _usable(context, network):
        raise BadRequest(f"Network {wish.uuid} could not be found.")
    if wish.fixed_ip is None and not network.subnets:
        raise BadRequest(f"Network {network.id} requires a subnet in order to boot instances on.")
    return Interface(network, fixed_ip=wish.fixed_ip)


def _existing(context: Context, wish: NetworkWish) -> Interface:
    if wish.fixed_ip is not None:
        raise BadRequest(
            f"Specified Fixed IP '{wish.fixed_ip}' cannot be used with port '{wish.port}': "
            "the two cannot be specified together."
        )
    port = context.db.get(Port, wish.port)
    if port is None or not (context.is_admin or port.project_id == context.project_id):
        raise BadRequest(f"Port {wish.port} could not be found.")
    if port.device_id:
        raise Conflict(f"Port {port.id} is still in use.")
    if not port.addresses and not port.network.subnets:
        raise BadRequest(f"Port {port.id} requires a FixedIP in order to be used.")
    return Interface(port.network, port=port)


def _usable(context: Context, network: Network) -> bool:
    return context.is_admin or network.shared or network.project_id == context.project_id


def attach(context: Context, server: Server, interfaces: Sequence[Interface]) -> None:
    """Give *server* its ports, in the order of *interfaces*."""
    kept = []
    for index, interface in enumerate(interfaces):
        port = interface.port
        if port is not None:
            port.device_id, port.device_owner, port.device_index = server.id, OWNER, index
            kept.append(port.id)
            continue
        try:
            create_port(
                context.db,
                interface.network,
                server.project_id,
                fixed_ip=interface.fixed_ip,
                device_id=server.id,
                device_owner=OWNER,
                device_index=index,
            )
        except Conflict as error:
            # Nova's words for it are a 400: what was asked for cannot be had, however often it is tried.
            raise BadRequest(error.message) from error
    server.kept_ports = kept


def authorize_ports(context: Context, interfaces: Sequence[Interface]) -> None:
    """Forbidden unless the network service's policy lets the caller make the ports that *interfaces* lack."""
    for interface in interfaces:
        if interface.port is None:
            authorize_port(context, interface.network, context.project_id, interface.fixed_ip)


def check_port_quota(context: Context, interfaces: Sequence[Interface], count: int) -> None:
    """Forbidden if the project may not have so many ports."""
    new = count * sum(interface.port is None for interface in interfaces)
    if not new:
        return
    try:
        check_quota(context.db, context.project_id, "port", new)
    except ApiError as error:
        raise Forbidden("Maximum number of ports exceeded") from error

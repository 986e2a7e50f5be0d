"""The ports of a new server: existing ports of the user, or new ones on the requested networks."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from skywright.errors import ApiError
from skywright.http import BadRequest, Conflict, Context, Forbidden
from skywright.http.microversions import version_of
from skywright.services.compute.server_bodies import NetworkRequest
from skywright.services.compute.tables import Server
from skywright.services.network.internal import (
    Network,
    Port,
    authorize_port,
    check_quota,
    create_port,
    is_shared,
    name_of_server,
    network_visible_to,
    usable_by,
)

OWNER = "compute:nova"
ATTACH_EXTERNAL = "network:attach_external_network"


@dataclass(frozen=True)
class Interface:
    """One interface of a new server: an existing *port*, or a new port on *network*."""

    network: Network
    port: Port | None = None
    fixed_ip: str | None = None


def wanted_interfaces(
    context: Context, requested: Sequence[NetworkRequest] | str | None, count: int
) -> list[Interface]:
    """Return the interfaces that the field `networks` requests for *count* new servers.

    Raises BadRequest and Conflict as Nova does.
    """
    version = version_of(context)
    if version >= 37 and requested is None:
        raise BadRequest("Invalid input for field/attribute server. 'networks' is a required property")
    if isinstance(requested, str) and version < 37:
        raise BadRequest(
            f"Invalid input for field/attribute networks. Value: {requested}. '{requested}' is not of type 'array'"
        )
    if requested == "none":
        return []
    if not requested or isinstance(requested, str):
        return _automatic(context, required=requested == "auto")
    _check_ports(requested, count)
    return [_interface(context, item) for item in requested]


def _check_ports(requested: Sequence[NetworkRequest], count: int) -> None:
    """Refuse a port or an address for several servers, and a port that is requested twice."""
    if count > 1 and any(item.fixed_ip for item in requested if item.port is None):
        raise BadRequest("Failed to launch instances: max_count cannot be greater than 1 if an fixed_ip is specified.")
    ports = [item.port for item in requested if item.port is not None]
    if count > 1 and ports:
        raise BadRequest(
            "Failed to launch instances: Unable to launch multiple instances with a single configured port ID. "
            "Please launch your instance one by one with different ports."
        )
    for index, port in enumerate(ports):
        if port in ports[:index]:
            raise BadRequest(f"Port ID '{port}' was specified twice: you cannot attach a port multiple times.")


def _automatic(context: Context, *, required: bool) -> list[Interface]:
    """Return the only network that the project can use."""
    project = context.project_id
    query = (
        select(Network)
        .where(Network.deleted_at.is_(None), usable_by(Network, project))
        .where(Network.subnets.any())
        .limit(2)
    )
    found = list(context.db.scalars(query))
    if len(found) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    if required and not found:
        raise BadRequest(f"Unable to automatically allocate a network for project {project}")
    return [Interface(network) for network in found]


def _interface(context: Context, requested: NetworkRequest) -> Interface:
    if requested.port is not None:
        return _existing(context, requested)
    if requested.uuid is None:
        raise BadRequest("Invalid input for field/attribute networks. Each network needs a uuid or a port.")
    query, project = (
        select(Network).where(Network.id == requested.uuid, Network.deleted_at.is_(None)),
        context.project_id,
    )
    network = context.db.scalar(query if context.is_admin else query.where(network_visible_to(project)))
    if network is None:
        raise BadRequest(f"Network {requested.uuid} could not be found.")
    if network.external and not (is_shared(network, project) or context.allows(ATTACH_EXTERNAL)):
        raise Forbidden(f"It is not allowed to create an interface on external network {network.id}")
    if requested.fixed_ip is None and not network.subnets:
        raise BadRequest(f"Network {network.id} requires a subnet in order to boot instances on.")
    return Interface(network, fixed_ip=requested.fixed_ip)


def _existing(context: Context, requested: NetworkRequest) -> Interface:
    if requested.fixed_ip is not None:
        raise BadRequest(
            f"Specified Fixed IP '{requested.fixed_ip}' cannot be used with port '{requested.port}': "
            "the two cannot be specified together."
        )
    port = context.db.get(Port, requested.port)
    if port is None or not (context.is_admin or port.project_id == context.project_id):
        raise BadRequest(f"Port {requested.port} could not be found.")
    if port.device_id:
        raise Conflict(f"Port {port.id} is still in use.")
    if not port.addresses and not port.network.subnets:
        raise BadRequest(f"Port {port.id} requires a FixedIP in order to be used.")
    return Interface(port.network, port=port)


def attach(context: Context, server: Server, interfaces: Sequence[Interface]) -> None:
    """Create and attach the ports of *server*, in the order of *interfaces*."""
    kept = []
    for index, interface in enumerate(interfaces):
        port = interface.port
        name = name_of_server(server.hostname, interface.network, port)
        if port is not None:
            port.device_id, port.device_owner, port.device_index = server.id, OWNER, index
            port.dns_name = name
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
                dns_name=name,
            )
        except Conflict as error:
            # Nova returns 400 for this conflict, because the request cannot succeed later either.
            raise BadRequest(error.message) from error
    server.kept_ports = kept


def authorize_ports(context: Context, interfaces: Sequence[Interface]) -> None:
    """Raise Forbidden unless the network service's policy allows the caller to create the ports of *interfaces*."""
    for interface in interfaces:
        if interface.port is None:
            authorize_port(context, interface.network, context.project_id, interface.fixed_ip)


def check_port_quota(context: Context, interfaces: Sequence[Interface], count: int) -> None:
    """Raise Forbidden if the project may not have so many ports."""
    new = count * sum(interface.port is None for interface in interfaces)
    if not new:
        return
    try:
        check_quota(context.db, context.project_id, "port", new)
    except ApiError as error:
        raise Forbidden("Maximum number of ports exceeded") from error

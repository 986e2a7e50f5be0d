"""The functions of this service for other services."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.queue.local import Queue
from skywright.services.network import ipam
from skywright.services.network.dns import name_of_server
from skywright.services.network.ipam import check_quota, create_port, ports_up
from skywright.services.network.kinds.network_items import PortChange, network_items, served
from skywright.services.network.router_ports import refresh_without_request
from skywright.services.network.router_tables import FloatingIp
from skywright.services.network.sharing import is_shared, network_visible_to, usable_by
from skywright.services.network.tables import INTERFACE_ORDER, Address, Network, Port, Subnet
from skywright.services.network.targets import on_network, owned

if TYPE_CHECKING:  # workers import this module and must stay small
    from types import ModuleType

    from skywright.http import Context

__all__ = [
    "INTERFACE_ORDER",
    "Address",
    "FloatingIp",
    "Network",
    "Port",
    "PortChange",
    "Subnet",
    "authorize_port",
    "check_quota",
    "create_port",
    "delete_port",
    "floating_ip_proxy",
    "is_shared",
    "name_of_server",
    "network_items",
    "network_visible_to",
    "networks_of",
    "ports_up",
    "served",
    "usable_by",
]


def authorize_port(context: "Context", network: Network, project_id: str, fixed_ip: str | None) -> None:
    """Raise Forbidden unless the caller may create a port of the project on *network*, with this address if there is
    one.
    """
    target = owned(project_id) | on_network(network, context.caller.project_id) | {"device_owner": ""}
    also = ("create_port:fixed_ips", "create_port:fixed_ips:ip_address") if fixed_ip else ()
    context.enforce("create_port", target, also=also)


def delete_port(session: Session, queue: Queue, port: Port) -> None:
    """Delete the port and release its addresses; queue jobs of the routers that lose floating IPs of the port."""
    refresh_without_request(session, queue, ipam.delete_port(session, port))


def floating_ip_proxy() -> "ModuleType":
    """Return the module with the calls for floating IPs, for an API process."""
    from skywright.services.network import floating_ip_proxy as proxy  # noqa: PLC0415 - see above

    return proxy


def networks_of(session: Session, ports: Iterable[Port]) -> dict[str, Network]:
    """Return the networks of *ports*, by id."""
    ids = {port.network_id for port in ports}
    return {row.id: row for row in session.scalars(select(Network).where(Network.id.in_(ids)))}

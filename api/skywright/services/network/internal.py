"""What other services may use of this one."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.services.network.ipam import check_quota, create_port, delete_port, ports_up
from skywright.services.network.kinds.network_items import PortChange, network_items
from skywright.services.network.tables import Address, Network, Port, Subnet

__all__ = [
    "Address",
    "Network",
    "Port",
    "PortChange",
    "Subnet",
    "check_quota",
    "create_port",
    "delete_port",
    "network_items",
    "networks_of",
    "ports_up",
]


def networks_of(session: Session, ports: Iterable[Port]) -> dict[str, Network]:
    """The networks of *ports*, by id."""
    ids = {port.network_id for port in ports}
    return {row.id: row for row in session.scalars(select(Network).where(Network.id.in_(ids)))}

"""The item of a server in a run."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Item
from skywright.services.compute.kinds.config_drive import config_drive
from skywright.services.compute.tables import Server
from skywright.services.network.internal import INTERFACE_ORDER, Network, Port


def ports_of(session: Session, server_ids: Sequence[str]) -> list[Port]:
    """Return the ports of servers, in the order of each server's interfaces."""
    query = select(Port).where(Port.device_id.in_(server_ids)).order_by(*INTERFACE_ORDER)
    return list(session.scalars(query))


def server_item(server: Server, ports: Sequence[Port], networks: Mapping[str, Network], *, null: bool = False) -> Item:
    """Return the item of the role `server` for a server with `state: present`; a null host has no config drives."""
    return {
        "id": server.id,
        "state": "present",
        "name": server.name,
        "power": server.power,
        "boot_id": server.boot_id,
        "reboot": server.reboot,
        "vcpus": server.vcpus,
        "memory_mib": server.ram_mib,
        "image_id": server.image_id,
        "launched": server.launched_at is not None,
        "disk_gib": server.flavor["disk"],
        "ports": [{"id": port.id, "mac": port.mac_address, "mtu": networks[port.network_id].mtu} for port in ports],
        "config_drive": config_drive(server, ports, networks) if server.config_drive and not null else None,
    }

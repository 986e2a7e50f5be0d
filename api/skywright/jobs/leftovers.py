"""Leftovers: what carries the cloud's marks on a host and is in no record.

Only what has an id of the kind that the API gives: things that `playbooks/cloud.yml` declares carry the same marks,
but ids made from their names.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.compute import Server
from skywright.db.image import Image
from skywright.db.jobs import Host
from skywright.db.network import Network, NetworkHost, Port
from skywright.jobs.activity import Touched
from skywright.jobs.playbooks.network_items import recorded_dhcp_port, tunnel_address

RANDOM = 4  # the version of UUIDs that the API gives


@dataclass
class Leftover:
    """A thing of *kind* server, network or image. Of a network that belongs there: parts that do not.

    `servers` must be left alone while it is removed: those that a port is bound to, or whose disk needs the image.
    """

    host: str
    kind: str
    id: str
    texts: list[str] = field(default_factory=list)
    data: bool = False  # whether it may hold what users stored
    ports: set[str] = field(default_factory=set)
    peers: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)


def leftovers(session: Session, contents: dict[str, dict[str, Any]], moved: Touched) -> list[Leftover]:
    """Of what hosts said that they have ({host: host_info's answer}), what no record knows."""
    records = _Records(session, moved)
    found: list[Leftover] = []
    for host, info in sorted(contents.items()):
        marked = info.get("contents") or {"directories": [], "ports": [], "dhcp": [], "images": []}
        servers = records.servers(host, info.get("domains") or [], marked["directories"])
        found += [*servers, *records.networks(host, marked), *records.images(host, marked, servers)]
    return found


class _Records:
    def __init__(self, session: Session, moved: Touched) -> None:
        self.session, self.moved = session, moved
        alive = select(Server.id, Server.host).where(Server.deleted_at.is_(None))
        self.homes: dict[str, str | None] = {row.id: row.host for row in session.execute(alive)}
        self.present = {(row.network_id, row.host) for row in session.scalars(select(NetworkHost))}
        self.addresses = {tunnel_address(host) for host in session.scalars(select(Host))}

    def _settled(self, kind: str, identifier: str) -> bool:
        """Whether it is the API's, and no job was at work on it."""
        moving = (kind, identifier) in self.moved.resources or identifier in self.moved.items
        return _is_random(identifier) and not moving

    def servers(self, host: str, domains: list[dict[str, Any]], directories: list[dict[str, Any]]) -> list[Leftover]:
        found: dict[str, Leftover] = {}
        for kind, entries in (("domain", domains), ("directory", directories)):
            for entry in entries:
                identifier = entry["id"]
                if self.homes.get(identifier) == host or not self._settled("server", identifier):
                    continue
                one = found.setdefault(identifier, Leftover(host, "server", identifier))
                one.data = one.data or bool(entry.get("disk"))
                detail = entry["power"] if kind == "domain" else "with a disk" if entry["disk"] else "without a disk"
                one.texts.append(f"{kind} ({detail})")
        return list(found.values())

    def networks(self, host: str, marked: dict[str, Any]) -> list[Leftover]:
        ids = {entry["network_id"] for entry in marked["ports"]} | {entry["id"] for entry in marked["dhcp"]}
        entries = {entry["id"]: set(entry["ports"]) for entry in marked["dhcp"]}
        found = []
        for network_id in sorted(ids):
            if not self._settled("network", network_id):
                continue
            ports = [entry for entry in marked["ports"] if entry["network_id"] == network_id]
            network = self.session.get(Network, network_id)
            one = Leftover(host, "network", network_id)
            if network is None or (network_id, host) not in self.present:
                one.texts = [f"port {entry['name']}" for entry in ports]
                one.texts += ["DHCP server"] if network_id in entries else []
            else:
                self._parts(one, ports, entries.get(network_id))
            if one.texts:
                found.append(one)
        return found

    def _parts(self, one: Leftover, ports: list[dict[str, Any]], entries: set[str] | None) -> None:
        """What of a network that belongs on the host does not."""
        for entry in ports:
            if entry["port_id"] and self._is_homeless(one, entry["port_id"]):
                one.texts.append(f"port {entry['name']}")
            elif entry["peer"] and entry["peer"] not in self.addresses:
                one.peers.add(entry["peer"])
                one.texts.append(f"tunnel {entry['name']} to {entry['peer']}")
        if entries is None:
            return
        dhcp = recorded_dhcp_port(self.session, one.id)
        if dhcp is None or dhcp.host != one.host:
            one.texts.append("DHCP server")
            return
        for port_id in sorted(entries):
            if _is_random(port_id) and self.session.get(Port, port_id) is None:
                one.ports.add(port_id)
                one.texts.append(f"DHCP entry of port {port_id}")

    def _is_homeless(self, one: Leftover, port_id: str) -> bool:
        """Whether a port is in no record, or is another host's. One that is nowhere may be here in a moment."""
        port = self.session.get(Port, port_id)
        if not _is_random(port_id) or (port is not None and port.host in ("", one.host)):
            return False
        if port is not None:
            if not port.device_id or ("server", port.device_id) in self.moved.resources:
                return False
            one.servers.add(port.device_id)
        one.ports.add(port_id)
        return True

    def images(self, host: str, marked: dict[str, Any], servers: list[Leftover]) -> Iterator[Leftover]:
        left = {one.id for one in servers}
        for image_id in marked["images"]:
            row = self.session.get(Image, image_id)
            if (row is not None and row.deleted_at is None) or not self._settled("image", image_id):
                continue
            users = {entry["id"] for entry in marked["directories"] if entry["image_id"] == image_id}
            if users <= left:  # else a server's disk needs it
                yield Leftover(host, "image", image_id, ["cached image"], servers=users)


def _is_random(identifier: str) -> bool:
    try:
        return UUID(identifier).version == RANDOM
    except ValueError:
        return False

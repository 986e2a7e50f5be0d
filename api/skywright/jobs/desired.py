"""The desired state: what the records say that hosts have, of all resources at once. Reading it writes nothing.

Left out are resources with an unfinished job, for it is that job's to make them what they shall be, and servers of
which the records do not say what they shall be: those in ERROR.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from skywright.db.compute import Server
from skywright.db.image import Image
from skywright.db.jobs import Host
from skywright.db.network import Network, NetworkHost, Port
from skywright.jobs.activity import Key, unfinished
from skywright.jobs.hosts import closed
from skywright.jobs.playbooks import Item
from skywright.jobs.playbooks.image import image_item
from skywright.jobs.playbooks.network_items import Rendering, is_null
from skywright.jobs.playbooks.server import server_item
from skywright.jobs.playbooks.server_outcomes import ports_of
from skywright.jobs.variables import reserved_key

if TYPE_CHECKING:
    from skywright.cloud import Cloud

SETTLED = ("ACTIVE", "SHUTOFF")


@dataclass(frozen=True)
class Scope:
    """What is looked at: all, or one host's, or one project's resources."""

    host: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class Resource:
    """Whose it is, and what its user calls it."""

    name: str
    project_id: str | None


@dataclass
class Desired:
    """What hosts shall have. `closed`: hosts that cannot be looked at; `left_out`: resources that are not compared.

    `owners` are the servers of ports, by port id and by tap.
    """

    hosts: list[tuple[str, list[str], dict[str, Any]]] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)
    items: dict[str, dict[str, list[Item]]] = field(default_factory=dict)
    resources: dict[Key, Resource] = field(default_factory=dict)
    left_out: dict[Key, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, host: str, kind: str, item: Item) -> None:
        self.items.setdefault(host, {}).setdefault(kind, []).append(item)

    def index(self) -> dict[tuple[str, str, str], Item]:
        """All items, by host, kind and id."""
        return {
            (host, kind, item["id"]): item
            for host, kinds in self.items.items()
            for kind, items in kinds.items()
            for item in items
        }


def tap(port_id: str) -> str:
    """The name of a port's device on its host."""
    return f"tap{port_id[:11]}"


def desired(session: Session, cloud: "Cloud", scope: Scope) -> Desired:
    """The desired state of what is in *scope*."""
    return _Reading(session, cloud, scope).read()


class _Reading:
    def __init__(self, session: Session, cloud: "Cloud", scope: Scope) -> None:
        self.session, self.cloud, self.scope = session, cloud, scope
        self.found = Desired()
        self.busy = unfinished(session)
        # A null host keeps nothing: there is nothing to compare.
        hosts = (row for row in session.scalars(select(Host)) if not is_null(row))
        self.hosts = {row.name: row for row in hosts if not row.of_overcloud}

    def read(self) -> Desired:
        looked = self._hosts()
        servers = self._servers(looked)
        ports = ports_of(self.session, [server.id for server in servers])
        networks = self._networks(looked, ports)
        self._add_servers(servers, ports)
        self._add_images(servers)
        self._add_networks(looked, servers, ports, networks)
        return self.found

    def _hosts(self) -> dict[str, Host]:
        wanted = {name: host for name, host in self.hosts.items() if self.scope.host in (None, name)}
        holds = closed(self.session)
        self.found.closed = {name: holds[name].reason for name in sorted(wanted.keys() & holds.keys())}
        looked = {name: host for name, host in sorted(wanted.items()) if name not in holds}
        self.found.hosts = [(name, list(host.groups), dict(host.variables)) for name, host in looked.items()]
        return looked

    def _servers(self, looked: dict[str, Host]) -> list[Server]:
        query = select(Server).where(Server.deleted_at.is_(None), Server.host.in_(looked)).order_by(Server.id)
        if self.scope.project_id is not None:
            query = query.where(Server.project_id == self.scope.project_id)
        return [server for server in self.session.scalars(query) if self._is_settled(server)]

    def _is_settled(self, server: Server) -> bool:
        state = None if server.status in SETTLED else f"it is in {server.status}"
        return self._known(("server", server.id), server.name, server.project_id, state)

    def _known(self, key: Key, name: str | None, project_id: str | None, reason: str | None = None) -> bool:
        """Take note of a resource; whether it is one to compare."""
        self.found.resources[key] = Resource(name or "", project_id)
        job = self.busy.get(key)
        if job is not None:
            reason = f"{job.playbook} {job.action} is not finished (job {job.id})"
        if reason is not None:
            self.found.left_out[key] = reason
        return reason is None

    def _networks(self, looked: dict[str, Host], ports: Iterable[Port]) -> dict[str, Network]:
        there = select(NetworkHost.network_id).where(NetworkHost.host.in_(looked))
        query = select(Network).where(Network.id.in_(there), Network.deleted_at.is_(None)).order_by(Network.id)
        if self.scope.project_id is not None:
            used = {port.network_id for port in ports}
            query = query.where(or_(Network.project_id == self.scope.project_id, Network.id.in_(used)))
        return {row.id: row for row in self.session.scalars(query)}

    def _add_servers(self, servers: Iterable[Server], ports: Iterable[Port]) -> None:
        ids = {port.network_id for port in ports}
        networks = {row.id: row for row in self.session.scalars(select(Network).where(Network.id.in_(ids)))}
        by_server: dict[str, list[Port]] = {}
        for port in ports:
            by_server.setdefault(port.device_id, []).append(port)
        for server in servers:
            own = by_server.get(server.id, [])
            item = server_item(server, own, networks)
            if key := reserved_key(item):  # it would make Ansible refuse all others, too
                self.found.left_out["server", server.id] = f"the name {key!r} is reserved: it cannot be used on a host"
                continue
            self.found.add(server.host or "", "servers", item)
            for port in own:
                self.found.owners[port.id] = self.found.owners[tap(port.id)] = server.id

    def _add_images(self, servers: Iterable[Server]) -> None:
        used = {(server.image_id, server.host or "") for server in servers if server.image_id is not None}
        wanted: dict[str, Item] = {}
        for image_id, host in sorted(used):
            if image_id not in wanted:
                # Without a URL it cannot be brought back, but whether it is there can be told.
                item = image_item(self.session, image_id, self.cloud) or {"id": image_id, "state": "present"}
                wanted[image_id] = item
                row = self.session.get(Image, image_id)
                self._known(("image", image_id), row.name if row else None, row.project_id if row else None)
            if ("image", image_id) not in self.found.left_out:
                self.found.add(host, "images", wanted[image_id])

    def _add_networks(
        self, looked: dict[str, Host], servers: Iterable[Server], ports: Iterable[Port], networks: dict[str, Network]
    ) -> None:
        """The networks, with the ports of servers that shall run: others get theirs when they start."""
        run = {server.id for server in servers if server.power == "running"}
        plugged: dict[str, list[Port]] = {}
        for port in ports:
            if port.device_id in run:
                plugged.setdefault(port.network_id, []).append(port)
        for network in networks.values():
            if not self._known(("network", network.id), network.name, network.project_id):
                continue
            rendering = Rendering(self.session, network, self.hosts)
            rendering.whole(plugged.get(network.id, ()))
            for name in rendering.items.keys() & looked.keys():
                self.found.add(name, "networks", rendering.items[name])

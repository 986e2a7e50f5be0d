"""Servers on hosts: create, delete, start, stop, reboot, and the clean-up behind deletions that hosts slept through.

All but deletions say the same thing: the server as it is wanted now. A run can therefore be repeated at any time.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.compute import Server
from skywright.db.jobs import Host, Job
from skywright.db.network import Network, Port
from skywright.jobs.playbooks import CREATE, Item, Outcome, Work
from skywright.jobs.playbooks.config_drive import config_drive
from skywright.jobs.playbooks.image import image_item
from skywright.jobs.playbooks.network_items import PortChange, is_null, network_items
from skywright.jobs.playbooks.server_outcomes import CLEANUP, DELETING, IMPATIENT, TIDY, ports_of, server_id_of, settle
from skywright.jobs.scheduler import NoValidHost, Scheduler

if TYPE_CHECKING:
    from skywright.cloud import Cloud


class ServerPlaybook:
    """Jobs of one server each."""

    name = "server"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        return _Rendering(session, jobs, cloud).render()

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        settle(session, job, outcome, cloud)


class _Rendering:
    """The work of one batch of jobs."""

    def __init__(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> None:
        self.session, self.jobs, self.cloud = session, jobs, cloud
        self.work = Work()
        self.changes: list[PortChange] = []
        self.port_jobs: dict[str, str] = {}  # {port id: job id}
        self.hosts = {host.name: host for host in session.scalars(select(Host))}
        ids = [server_id_of(job) for job in jobs]
        self.servers = {row.id: row for row in session.scalars(select(Server).where(Server.id.in_(ids)))}
        self.ports: dict[str, list[Port]] = {}
        for port in ports_of(session, ids):
            self.ports.setdefault(port.device_id, []).append(port)
        self.networks = _networks(session, (port for ports in self.ports.values() for port in ports))
        self._images: dict[str, Item | None] = {}

    def render(self) -> Work:
        self._place()
        for job in self.jobs:
            if job.id not in self.work.refused:
                self._render(job)
        networks = network_items(self.session, self.changes)
        for host, items in networks.items.items():
            self._items(host)["networks"] = items
        for port_id, keys in networks.depends.items():
            self.work.depends[self.port_jobs[port_id]] |= keys
        return self.work

    def _place(self) -> None:
        """Give servers without a host one; those that no host can take are refused."""
        waiting = [job for job in self.jobs if job.action == CREATE and not job.undoing and self._homeless(job)]
        if not waiting:
            return
        self.session.flush()
        scheduler = Scheduler(self.session, self.cloud.settings)
        for job in waiting:
            server = self.servers[server_id_of(job)]
            try:
                scheduler.place(server)
            except NoValidHost as error:
                self.work.refused[job.id] = str(error)
                continue
            server.task_state = "spawning"
            self.work.chosen[job.id] = server.host or ""
            for port in self.ports.get(server.id, ()):
                port.host = server.host or ""
        self.session.flush()

    def _homeless(self, job: Job) -> bool:
        server = self.servers.get(server_id_of(job))
        if server is None or server.deleted_at is not None:
            return False
        if "avoid" in job.arguments:  # the host that was chosen before did not answer
            if server.host == job.arguments["avoid"]:
                server.host = None
            job.arguments = {key: value for key, value in job.arguments.items() if key != "avoid"}
        return server.host is None

    def _render(self, job: Job) -> None:
        server = self.servers.get(server_id_of(job))
        if job.action == TIDY and server and not server.deleted_at and server.host == job.arguments["host"]:
            self.work.refused[job.id] = "It is no leftover: it has come back to this host."
        elif job.action in (CLEANUP, TIDY):
            self._absent(job, job.arguments["host"], server_id_of(job), _ghosts(self.session, job.arguments))
        elif server is None or server.host is None or server.deleted_at is not None:
            return
        elif job.action == "delete" or job.undoing:
            self.work.impatient.add(job.id)
            if job.undoing and server.task_state == DELETING:
                return  # what follows removes it all
            self._absent(job, server.host, server.id, self.ports.get(server.id, []))
        else:
            if job.action in IMPATIENT and job.user_id is not None:
                self.work.impatient.add(job.id)
            if job.action == CREATE and server.wanted_host is not None and job.id in self.work.chosen:
                self.work.impatient.add(job.id)  # there is no other host for it, and nothing of it is anywhere yet
            self._present(job, server, server.host)

    def _absent(self, job: Job, host: str, server_id: str, ports: Iterable[Port]) -> None:
        if host not in self.hosts:  # it left the inventory with all that was on it
            return
        self._server(job, host, {"id": server_id, "state": "absent"})
        self._plug(job, host, ports, present=False)

    def _present(self, job: Job, server: Server, host: str) -> None:
        if host not in self.hosts:
            self.work.refused[job.id] = f"Host {host} is not in the inventory any more."
            return
        ports = self.ports.get(server.id, [])
        null = is_null(self.hosts[host])
        # What a server needs to stop, it has.
        if job.action != "stop" and not null:
            image = self._image(server.image_id)
            if image is None and job.action == CREATE:
                self.work.refused[job.id] = f"Image {server.image_id} is not active, or not a raw or qcow2 disk."
                return
            if image is not None:
                self._add(host, "images", image)
                self.work.depends.setdefault(job.id, set()).add((host, image["id"]))
        item = server_item(server, ports, self.networks, null=null)
        if job.action == CREATE or job.arguments.get("recreate_disk"):
            item["launched"] = False
        self._server(job, host, item)
        if job.action != "stop":
            self._plug(job, host, ports, present=True)

    def _server(self, job: Job, host: str, item: Item) -> None:
        self._add(host, "servers", item)
        self.work.depends.setdefault(job.id, set()).add((host, item["id"]))

    def _plug(self, job: Job, host: str, ports: Iterable[Port], *, present: bool) -> None:
        for port in ports:
            self.changes.append(PortChange(port, host, present))
            self.port_jobs[port.id] = job.id

    def _image(self, image_id: str | None) -> Item | None:
        if image_id is None:
            return None
        if image_id not in self._images:
            self._images[image_id] = image_item(self.session, image_id, self.cloud)
        return self._images[image_id]

    def _items(self, host: str) -> dict[str, list[Item]]:
        return self.work.items.setdefault(host, {})

    def _add(self, host: str, kind: str, item: Item) -> None:
        items = self._items(host).setdefault(kind, [])
        if item not in items:
            items.append(item)


def server_item(server: Server, ports: Sequence[Port], networks: dict[str, Network], *, null: bool = False) -> Item:
    """The item of the role `server` for a server that shall be there; a null host has no config drives."""
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


def _networks(session: Session, ports: Iterable[Port]) -> dict[str, Network]:
    ids = {port.network_id for port in ports}
    return {row.id: row for row in session.scalars(select(Network).where(Network.id.in_(ids)))}


def _ghosts(session: Session, arguments: dict[str, Any]) -> list[Port]:
    """Ports that are in no table any more, but perhaps on the host; those of deleted networks went with these."""
    ports = [
        Port(id=entry["id"], mac_address=entry["mac"], network_id=entry["network_id"], host=arguments["host"])
        for entry in arguments["ports"]
    ]
    return [port for port in ports if session.get(Network, port.network_id) is not None]


PLAYBOOK = ServerPlaybook()

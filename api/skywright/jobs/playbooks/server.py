"""Servers on hosts: create, delete, start, stop, reboot, and the clean-up behind deletions that hosts slept through.

All but deletions say the same thing: the server as it is wanted now. A run can therefore be repeated at any time.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright import ipam
from skywright.db import isoformat, utcnow
from skywright.db.compute import Server
from skywright.db.jobs import Host, Job
from skywright.db.network import Network, Port
from skywright.jobs.playbooks import Item, Outcome, Work
from skywright.jobs.playbooks.config_drive import config_drive
from skywright.jobs.playbooks.image import image_item, server_left
from skywright.jobs.playbooks.network import PortChange, is_null, network_items
from skywright.jobs.scheduler import NoValidHost, Scheduler
from skywright.jobs.submit import enqueue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

CLEANUP = "cleanup"
FIRST_CLEANUP = timedelta(seconds=30)
LAST_CLEANUP = timedelta(hours=1)


class ServerPlaybook:
    """Jobs of one server each."""

    name = "server"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        return _Rendering(session, jobs, cloud).render()

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        if job.action == CLEANUP:
            if not outcome.ok and not outcome.canceled:
                _clean_up_later(session, cloud, job.arguments)
            return
        server = session.get(Server, _server_id(job))
        if server is None or server.deleted_at is not None:
            return
        if job.action == "delete":
            _settle_delete(session, server, outcome, cloud)
        elif outcome.ok:
            _settle_present(session, server)
        elif outcome.canceled and job.action != "create":
            _end_task(server)
        else:
            _fail(server, job, outcome)


class _Rendering:
    """The work of one batch of jobs."""

    def __init__(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> None:
        self.session, self.jobs, self.cloud = session, jobs, cloud
        self.work = Work()
        self.changes: list[PortChange] = []
        self.port_jobs: dict[str, str] = {}  # {port id: job id}
        self.hosts = {host.name: host for host in session.scalars(select(Host))}
        ids = [_server_id(job) for job in jobs]
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
        waiting = [job for job in self.jobs if job.action == "create" and self._homeless(job)]
        if not waiting:
            return
        self.session.flush()
        scheduler = Scheduler(self.session, self.cloud.settings)
        for job in waiting:
            server = self.servers[_server_id(job)]
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
        server = self.servers.get(_server_id(job))
        if server is None or server.deleted_at is not None:
            return False
        if "avoid" in job.arguments:  # the host that was chosen before did not answer
            if server.host == job.arguments["avoid"]:
                server.host = None
            job.arguments = {key: value for key, value in job.arguments.items() if key != "avoid"}
        return server.host is None

    def _render(self, job: Job) -> None:
        server = self.servers.get(_server_id(job))
        if job.action == CLEANUP:
            self._absent(job, job.arguments["host"], _server_id(job), _ghosts(self.session, job.arguments))
        elif server is None or server.host is None or server.deleted_at is not None:
            return
        elif job.action == "delete":
            self.work.impatient.add(job.id)
            self._absent(job, server.host, server.id, self.ports.get(server.id, []))
        else:
            if job.action == "create" and server.wanted_host is not None and job.id in self.work.chosen:
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
            if image is None and job.action == "create":
                self.work.refused[job.id] = f"Image {server.image_id} is not active, or not a raw or qcow2 disk."
                return
            if image is not None:
                self._add(host, "images", image)
                self.work.depends.setdefault(job.id, set()).add((host, image["id"]))
        self._server(job, host, server_item(server, ports, self.networks, null=null))
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
        "disk_gib": server.flavor["disk"],
        "ports": [{"id": port.id, "mac": port.mac_address, "mtu": networks[port.network_id].mtu} for port in ports],
        "config_drive": config_drive(server, ports, networks) if server.config_drive and not null else None,
    }


def ports_of(session: Session, server_ids: Sequence[str]) -> list[Port]:
    """The ports of servers, each server's in the order of its interfaces."""
    query = select(Port).where(Port.device_id.in_(server_ids)).order_by(Port.created_at, Port.id)
    return list(session.scalars(query))


def mark_deleted(session: Session, server: Server) -> None:
    """The server is gone for its user. Its ports go too; those that the user brought are free again."""
    for port in ports_of(session, [server.id]):
        if port.id in server.kept_ports:
            port.device_id = port.device_owner = port.host = ""
            port.status = "DOWN"
        else:
            ipam.delete_port(session, port)
    server.status, server.task_state, server.power_state = "DELETED", None, 0
    server.deleted_at = utcnow()


def _server_id(job: Job) -> str:
    return job.resources[0].resource_id


def _networks(session: Session, ports: Iterable[Port]) -> dict[str, Network]:
    ids = {port.network_id for port in ports}
    return {row.id: row for row in session.scalars(select(Network).where(Network.id.in_(ids)))}


def _settle_present(session: Session, server: Server) -> None:
    """The server is on its host as it was wanted."""
    running = server.power == "running"
    server.status, server.power_state = ("ACTIVE", 1) if running else ("SHUTOFF", 4)
    server.fault = None
    _end_task(server)
    server.launched_at = server.launched_at or utcnow()
    ipam.ports_up(session, ports_of(session, [server.id]))


def _fail(server: Server, job: Job, outcome: Outcome) -> None:
    server.status = "ERROR"
    _end_task(server)
    if job.action == "create":
        server.power_state = 0
    text = outcome.error or "The job failed without a reason."
    server.fault = {
        "code": 500,
        "message": text[:255],
        "created": isoformat(utcnow()),
        "details": f"Job {job.id} ({job.action}): {text}",
    }


def _end_task(server: Server) -> None:
    """The job's task is over; a deletion that was asked for meanwhile still waits for its turn."""
    if server.task_state != "deleting":
        server.task_state = None


def _settle_delete(session: Session, server: Server, outcome: Outcome, cloud: "Cloud") -> None:
    """Deleting works for the user even if the host does not answer: what is left there is removed later."""
    if outcome.canceled:
        server.task_state = None
        return
    if not outcome.ok and server.host is not None:
        ports = [
            {"id": port.id, "mac": port.mac_address, "network_id": port.network_id}
            for port in ports_of(session, [server.id])
        ]
        arguments = {"server_id": server.id, "host": server.host, "ports": ports, "attempt": 0}
        _clean_up_later(session, cloud, arguments)
    mark_deleted(session, server)
    session.flush()
    server_left(session, server.image_id, cloud)


def _clean_up_later(session: Session, cloud: "Cloud", arguments: dict[str, Any]) -> None:
    """Queue another try to remove what is left, each twice as late as the one before."""
    attempt = int(arguments["attempt"])
    # A host that left the inventory took everything with it.
    if session.get(Host, arguments["host"]) is None:
        return
    following = arguments | {"attempt": attempt + 1}
    job = enqueue(session, cloud.queue, "server", CLEANUP, [("server", arguments["server_id"])], following)
    job.not_before = utcnow() + min(FIRST_CLEANUP * 2 ** min(attempt, 16), LAST_CLEANUP)


def _ghosts(session: Session, arguments: dict[str, Any]) -> list[Port]:
    """Ports that are in no table any more, but perhaps on the host; those of deleted networks went with these."""
    ports = [
        Port(id=entry["id"], mac_address=entry["mac"], network_id=entry["network_id"], host=arguments["host"])
        for entry in arguments["ports"]
    ]
    return [port for port in ports if session.get(Network, port.network_id) is not None]


PLAYBOOK = ServerPlaybook()

"""Jobs of servers: create, delete, start, stop, reboot, `replug` when ports have changed, and `cleanup` on hosts that
were unreachable during a deletion.

All of them except deletions render the same item: the desired state of the server. A run can therefore be repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import CREATE, Core, Item, Outcome, Work
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host, Job
from skywright.jobs.drift.model import Desired, Finding, Findings, Leftover, Reading, Records
from skywright.jobs.engine.activity import Key
from skywright.jobs.engine.submit import enqueue
from skywright.jobs.kinds import TIDY, ResourceKind, Result
from skywright.services.compute.internal import DETACH, REPLUG
from skywright.services.compute.kinds import config_drive, outcomes, server_drift
from skywright.services.compute.kinds.items import ports_of, server_item
from skywright.services.compute.kinds.outcomes import CLEANUP, DELETING, FAIL_FAST, server_id_of
from skywright.services.compute.scheduler import NoValidHost, Scheduler
from skywright.services.compute.tables import Server
from skywright.services.image.internal import image_item
from skywright.services.network.internal import Network, Port, PortChange, network_items, networks_of


class ServerKind(ResourceKind):
    """Jobs of one server each."""

    name, item_kind = "server", "servers"
    replaceable = True

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        return _Rendering(session, jobs, core).render()

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        outcomes.settle(session, job, outcome, core)

    def read_desired(self, reading: Reading) -> None:
        server_drift.read_desired(reading)

    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        return server_drift.describe(base, result, desired, findings)

    def converge_arguments(self, key: Key, hosts: list[str], *, recreate: bool) -> dict[str, Any]:
        return {"recreate_disk": True} if recreate else {}

    def accept(self, session: Session, identifier: str) -> None:
        server_drift.accept_shutdown(session, identifier)

    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        return server_drift.leftovers(records, host, facts)

    def tidy(self, one: Leftover) -> tuple[str, dict[str, Any]]:
        return TIDY, {"server_id": one.id, "host": one.host, "ports": []}

    def observe(self, session: Session, facts: Mapping[str, HostFacts], since: datetime) -> None:
        server_drift.observe(session, facts, since)

    def host_booted(self, session: Session, host: Host, core: Core) -> None:
        """Start the servers that ran on *host* when it went down, with everything that they need."""
        lost = select(Server.id).where(
            Server.host == host.name, Server.deleted_at.is_(None), Server.status == "ACTIVE", Server.power == "running"
        )
        for server_id in session.scalars(lost):
            enqueue(session, core.queue, "server", "restore", [("server", server_id)])

    def resources_bound_to(self, session: Session, host: str) -> list[str]:
        query = select(Server.name, Server.id).where(Server.host == host, Server.deleted_at.is_(None))
        return [f"server {row.name} ({row.id})" for row in session.execute(query.order_by(Server.name))]


class _Rendering:
    """The work of one batch of jobs."""

    def __init__(self, session: Session, jobs: Sequence[Job], core: Core) -> None:
        self.session, self.jobs, self.core = session, jobs, core
        self.work = Work()
        self.changes: list[PortChange] = []
        self.port_jobs: dict[str, str] = {}  # {port id: job id}
        ids = [server_id_of(job) for job in jobs]
        self.servers = {row.id: row for row in session.scalars(select(Server).where(Server.id.in_(ids)))}
        self.ports: dict[str, list[Port]] = {}
        for port in ports_of(session, ids):
            self.ports.setdefault(port.device_id, []).append(port)
        self.networks = networks_of(session, (port for ports in self.ports.values() for port in ports))
        self._images: dict[str, Item | None] = {}
        self._first: str | None = None

    def render(self) -> Work:
        self._place()
        self._first = self._first_create()
        for job in self.jobs:
            if job.id not in self.work.refused:
                self._render(job)
        networks = network_items(self.session, self.core, self.changes)
        for host, items in networks.items.items():
            self._items(host)["networks"] = items
        for port_id, keys in networks.depends.items():
            self.work.depends.setdefault(self.port_jobs[port_id], set()).update(keys)
        return self.work

    def _first_create(self) -> str | None:
        """Return the id of the job whose server does not wait for the others, unless another run creates servers.

        So the first of many servers is soon ready, and the others are not slowed down by more guests that boot.
        """
        ids = [job.id for job in self.jobs]
        creates = (Job.playbook == "server") & (Job.action == CREATE) & (Job.state == "running")
        if self.session.scalar(select(Job.id).where(creates, Job.id.not_in(ids)).limit(1)):
            return None
        return next((job.id for job in self.jobs if job.action == CREATE and job.id not in self.work.refused), None)

    def _place(self) -> None:
        """Choose hosts for servers without one; refuse jobs whose servers fit on no host."""
        waiting = [job for job in self.jobs if job.action == CREATE and not job.undoing and self._without_host(job)]
        if not waiting:
            return
        self.session.flush()
        scheduler = Scheduler(self.session, self.core.settings)
        for job in waiting:
            server = self.servers[server_id_of(job)]
            try:
                scheduler.place(server)
            except NoValidHost as error:
                self.work.refused[job.id] = str(error)
                continue
            server.task_state = "spawning"
            self.work.scheduled[job.id] = server.host or ""
            for port in self.ports.get(server.id, ()):
                port.host = server.host or ""
        self.session.flush()

    def _without_host(self, job: Job) -> bool:
        server = self.servers.get(server_id_of(job))
        if server is None or server.deleted_at is not None:
            return False
        if "avoid" in job.arguments:  # the host chosen before was unreachable
            if server.host == job.arguments["avoid"]:
                server.host = None
            job.arguments = {key: value for key, value in job.arguments.items() if key != "avoid"}
        return server.host is None

    def _render(self, job: Job) -> None:
        server = self.servers.get(server_id_of(job))
        if job.action == TIDY and server and not server.deleted_at and server.host == job.arguments["host"]:
            self.work.refused[job.id] = "The server is on this host again; nothing is removed."
        elif job.action in (CLEANUP, TIDY):
            self._absent(job, job.arguments["host"], server_id_of(job), _deleted_ports(self.session, job.arguments))
        elif job.action == DETACH:
            self._detach(job, server, job.arguments["host"])
        elif server is None or server.host is None or server.deleted_at is not None:
            return
        elif job.action == REPLUG:
            self._plug(job, server.host, self.ports.get(server.id, []), present=True)
        elif job.action == "delete" or job.undoing:
            self.work.fail_fast.add(job.id)
            if job.undoing and server.task_state == DELETING:
                return  # the deletion in the queue removes everything
            self._absent(job, server.host, server.id, self.ports.get(server.id, []))
        else:
            if job.action in FAIL_FAST and job.user_id is not None:
                self.work.fail_fast.add(job.id)
            if job.action == CREATE and server.wanted_host is not None and job.id in self.work.scheduled:
                self.work.fail_fast.add(job.id)  # no other host is possible, and nothing was made yet
            self._present(job, server, server.host)

    def _detach(self, job: Job, server: Server | None, host: str) -> None:
        """Remove deleted ports from *host*, and from the server if it is there and not being changed."""
        known = self._host(host)
        if known is None:
            return
        if server and server.deleted_at is None and server.host == host and server.status in ("ACTIVE", "SHUTOFF"):
            ports = self.ports.get(server.id, [])
            self._server(job, host, server_item(server, ports, self.networks, null=known.is_null))
        self._plug(job, host, _deleted_ports(self.session, job.arguments), present=False)

    def _absent(self, job: Job, host: str, server_id: str, ports: Iterable[Port]) -> None:
        if self._host(host) is None:  # it was removed from the inventory
            return
        self._server(job, host, {"id": server_id, "state": "absent"})
        self._plug(job, host, ports, present=False)

    def _present(self, job: Job, server: Server, host: str) -> None:
        known = self._host(host)
        if known is None:
            self.work.refused[job.id] = f"Host {host} is not in the inventory any more."
            return
        ports, null = self.ports.get(server.id, []), known.is_null
        # To be stopped, a server needs neither its image nor its ports.
        if job.action != "stop" and not null:
            image = self._image(server.image_id)
            if image is None and job.action == CREATE:
                self.work.refused[job.id] = f"Image {server.image_id} is not active, or not a raw or qcow2 disk."
                return
            if image is not None:
                self._add(host, "images", image)
                self.work.depends.setdefault(job.id, set()).add((host, image["id"]))
        if server.config_drive and not null and (server.drive is None or _writes_drive(job, server)):
            server.next_drive = config_drive.render(server, ports, self.networks)
        item = server_item(server, ports, self.networks, null=null)
        if job.action == CREATE or job.arguments.get("recreate_disk"):
            item["launched"] = False
        item["starts_first"] = job.id == self._first
        self._server(job, host, item)
        if job.action != "stop":
            self._plug(job, host, ports, present=True)

    def _host(self, name: str) -> Host | None:
        """Return the host; None if it is not in the inventory any more."""
        return self.session.get(Host, name)

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
            self._images[image_id] = image_item(self.session, image_id, self.core)
        return self._images[image_id]

    def _items(self, host: str) -> dict[str, list[Item]]:
        return self.work.items.setdefault(host, {})

    def _add(self, host: str, kind: str, item: Item) -> None:
        items = self._items(host).setdefault(kind, [])
        if item not in items:
            items.append(item)


def _writes_drive(job: Job, server: Server) -> bool:
    """Return whether *job* writes a new config drive: for a new server, a new disk, or at a hard reboot."""
    hard = job.action == "reboot" and server.reboot == "hard"
    return job.action == CREATE or hard or bool(job.arguments.get("recreate_disk"))


def _deleted_ports(session: Session, arguments: dict[str, Any]) -> list[Port]:
    """Return deleted ports that may still be on the host. Ports of deleted networks were removed with these."""
    ports = [
        Port(id=entry["id"], mac_address=entry["mac"], network_id=entry["network_id"], host=arguments["host"])
        for entry in arguments["ports"]
    ]
    return [port for port in ports if session.get(Network, port.network_id) is not None]

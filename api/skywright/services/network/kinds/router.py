"""Jobs of routers: items for hosts, and settling."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import DELETE, Core, Item, Outcome, Work
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import UNFINISHED, Host, Job, JobResource
from skywright.jobs.drift.model import Desired, Finding, Findings, Leftover, Reading, Records
from skywright.jobs.engine.activity import Key
from skywright.jobs.engine.submit import enqueue_retry
from skywright.jobs.kinds import CONVERGE, TIDY, ResourceKind, Result
from skywright.services.network import ipam
from skywright.services.network.kinds import router_drift
from skywright.services.network.kinds.network_items import PortChange, network_items
from skywright.services.network.kinds.router_items import place, router_item
from skywright.services.network.router_ports import NEW, ON_HOSTS, ports_of, refresh_without_request
from skywright.services.network.router_tables import FloatingIp, Router
from skywright.services.network.tables import Network, Port

ACTIVE, DOWN, ERROR = "ACTIVE", "DOWN", "ERROR"


class RouterKind(ResourceKind):
    """Jobs of one router each. All of them except deletions render the same: the whole router, so that a run can be
    repeated. A router without interfaces and gateway is on no host.

    `update` applies changes, `delete` removes the router, `converge` repairs it, `tidy` removes a leftover.
    """

    name, item_kind = "router", "routers"

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        work = Work()
        changes: list[PortChange] = []
        port_jobs: dict[str, str] = {}
        for job in jobs:
            for change in _render(session, job, work):
                changes.append(change)
                port_jobs[change.port.id] = job.id
        networks = network_items(session, core, changes)
        for host, items in networks.items.items():
            work.items.setdefault(host, {})["networks"] = items
        for port_id, keys in networks.depends.items():
            work.depends.setdefault(port_jobs[port_id], set()).update(keys)
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        router = session.get(Router, job.arguments["router_id"])
        if router is None or job.action == TIDY:
            return
        if job.action == DELETE:
            _settle_delete(session, router, job, outcome, core)
        elif outcome.ok:
            _settle_present(session, router, job)
        elif job.action != CONVERGE:  # a failed repair changes nothing; the job shows the reason
            router.status = ERROR

    def read_desired(self, reading: Reading) -> None:
        router_drift.read_desired(reading)

    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        return router_drift.describe(base, result)

    def converge_arguments(self, key: Key, hosts: list[str], *, recreate: bool) -> dict[str, Any]:
        return {"router_id": key[1], "ports": []}

    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        return router_drift.leftovers(records, host, facts)

    def tidy(self, one: Leftover) -> tuple[str, dict[str, Any]]:
        return TIDY, {"router_id": one.id, "host": one.host}

    def host_booted(self, session: Session, host: Host, core: Core) -> None:
        """Queue jobs that make the routers of *host* again: they are in memory only."""
        _queue_updates(session, host.name, core)

    def host_returned(self, session: Session, host: Host, core: Core) -> None:
        """Queue jobs that make the changes that *host* missed."""
        _queue_updates(session, host.name, core)

    def host_removed(self, session: Session, host: str, core: Core) -> None:
        """Queue jobs that put the routers of *host* on other hosts."""
        _queue_updates(session, host, core)
        for router in session.scalars(select(Router).where(Router.host == host)):
            router.host = ""
            if router.deleted_at is None:
                router.status = NEW
        for port in session.scalars(select(Port).where(Port.host == host, Port.device_owner.in_(ON_HOSTS))):
            port.host, port.status = "", DOWN


def _queue_updates(session: Session, host: str, core: Core) -> None:
    query = select(Router.id).where(Router.host == host, Router.deleted_at.is_(None))
    refresh_without_request(session, core.queue, session.scalars(query).all())


def _render(session: Session, job: Job, work: Work) -> list[PortChange]:
    """Add the item of the job's router to *work*; return the changes of its ports."""
    router_id = job.arguments["router_id"]
    router = session.get(Router, router_id)
    work.depends[job.id] = set()
    if job.action == TIDY:
        if router is not None and router.deleted_at is None and router.host == job.arguments["host"]:
            work.refused[job.id] = "The router is on this host again; nothing is removed."
        else:
            _add(session, work, job, job.arguments["host"], {"id": router_id, "state": "absent"})
        return []
    if router is None:
        return []
    ports = ports_of(session, [router_id]).get(router_id, [])
    gone = _deleted_ports(session, job, router.host)
    if not ports:
        if router.host:
            _add(session, work, job, router.host, {"id": router_id, "state": "absent"})
    elif place(session, router, ports):
        session.flush()
        _add(session, work, job, router.host, router_item(session, router, ports))
    else:
        work.refused[job.id] = "No host of the group networks is enabled."
        return []
    return [
        *(PortChange(port, router.host) for port in ports),
        *(PortChange(port, router.host, present=False) for port in gone),
    ]


def _add(session: Session, work: Work, job: Job, name: str, item: Item) -> None:
    host = session.get(Host, name)
    if host is not None and not host.is_null:
        work.items.setdefault(name, {}).setdefault("routers", []).append(item)
        work.depends[job.id].add((name, item["id"]))


def _deleted_ports(session: Session, job: Job, host: str) -> list[Port]:
    """Return the deleted ports that may still be on the host. Ports of deleted networks were removed with these."""
    ports = [
        Port(id=entry["id"], mac_address=entry["mac"], network_id=entry["network_id"], host=host)
        for entry in job.arguments["ports"]
    ]
    return [port for port in ports if session.get(Network, port.network_id) is not None]


def _settle_present(session: Session, router: Router, job: Job) -> None:
    """Set the status of a router that is on its host as it was when the job was rendered."""
    router.status = ACTIVE
    ports = ports_of(session, [router.id]).get(router.id, [])
    if not ports:
        router.host = ""
    if _has_later_job(session, router, job):
        return  # it settles what was changed since
    ipam.ports_up(session, ports)
    for row in session.scalars(select(FloatingIp).where(FloatingIp.router_id == router.id)):
        row.status = ACTIVE


def _has_later_job(session: Session, router: Router, job: Job) -> bool:
    mine = (JobResource.resource_type == "router") & (JobResource.resource_id == router.id)
    query = select(Job.sequence).join(JobResource, JobResource.job_sequence == Job.sequence)
    return (
        session.scalar(query.where(mine, Job.sequence != job.sequence, Job.state.in_(UNFINISHED)).limit(1)) is not None
    )


def _settle_delete(session: Session, router: Router, job: Job, outcome: Outcome, core: Core) -> None:
    if outcome.ok:
        session.delete(router)
        return
    # Its user cannot request it again.
    resources = [("router", router.id)]
    enqueue_retry(session, core.queue, "router", DELETE, resources, job.arguments)

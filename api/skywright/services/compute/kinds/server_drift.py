"""Drift of servers: differences from the records, leftovers on hosts, and observed power states."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Job, JobResource
from skywright.jobs.drift.model import Desired, Finding, Findings, Leftover, Reading, Records, Use
from skywright.jobs.kinds import Result
from skywright.jobs.runs.variables import reserved_key
from skywright.services.compute.kinds.items import ports_of, server_item
from skywright.services.compute.marks import ServerDirectory
from skywright.services.compute.tables import BOOTED, SETTLED, Server
from skywright.services.network.internal import Port, networks_of

log = logging.getLogger(__name__)

# libvirt's reasons of domains that their guests shut down.
OWN_WILL = "shutdown"
OFF = {
    "crashed": "it does not run: its QEMU crashed or was killed",
    "destroyed": "it does not run: its domain was destroyed",
    "failed": "it does not run: its domain failed to start",
}
# Nova's power states. A missing domain has none; the job that starts the server defines it again.
POWER = {"running": 1, "paused": 3, "shutoff": 4, "crashed": 6}
STATUS = {0: "SHUTOFF", 1: "ACTIVE", 4: "SHUTOFF", 6: "SHUTOFF"}


def read_desired(reading: Reading) -> None:
    """Add the servers of the compared hosts and the resources that they use there."""
    query = select(Server).where(Server.deleted_at.is_(None), Server.host.in_(reading.compared)).order_by(Server.id)
    if reading.scope.project_id is not None:
        query = query.where(Server.project_id == reading.scope.project_id)
    servers = [server for server in reading.session.scalars(query) if _is_settled(reading, server)]
    by_server: dict[str, list[Port]] = {}
    ports = ports_of(reading.session, [server.id for server in servers])
    for port in ports:
        by_server.setdefault(port.device_id, []).append(port)
    networks = networks_of(reading.session, ports)
    for server in servers:
        key, host, own = ("server", server.id), server.host or "", by_server.get(server.id, [])
        # Items of other resources do not depend on whether this item can be sent.
        reading.uses += [Use(key, "port", port.id, host, active=server.power == "running") for port in own]
        if server.image_id is not None:
            reading.uses.append(Use(key, "image", server.image_id, host))
        item = server_item(server, own, networks)
        if name := reserved_key(item):  # Ansible would refuse the items of all resources
            reading.desired.left_out[key] = f"the name {name!r} is reserved: it cannot be used on a host"
        else:
            reading.desired.add(host, "servers", item)


def _is_settled(reading: Reading, server: Server) -> bool:
    state = None if server.status in SETTLED else f"it is in {server.status}"
    return reading.includes(("server", server.id), server.name, server.project_id, state)


def describe(base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
    """Yield the differences of a server's disk or domain."""
    diff = result.get("diff") or {}
    before, after = diff.get("before") or {}, diff.get("after") or {}
    if result["module"] == "server_disk":
        return _disk_findings(base, before, after)
    return _domain_findings(base, before, after, findings)


def _disk_findings(base: Finding, before: Result, after: Result) -> Iterator[Finding]:
    for key, name in (("disk_bytes", "disk"), ("config_drive", "config drive"), ("image_id", "record of its image")):
        have, want = before.get(key), after.get(key)
        if have != want:
            known = "is missing" if have is None else "should not be there" if want is None else "differs"
            yield replace(base, text=f"its {name} {known}", diff={"before": {key: have}, "after": {key: want}})


def _domain_findings(base: Finding, before: Result, after: Result, findings: Findings) -> Iterator[Finding]:
    if not before:
        yield replace(base, text="its domain is not defined", diff={"before": before, "after": after})
        return
    reason = _reason_of(base, findings) if before["power"] == "shutoff" else None
    for key, tell in _DOMAIN.items():
        have, want = _told(before.get(key)), _told(after.get(key))
        if have == want:
            continue
        if key == "power" and want == "running" and reason == OWN_WILL:
            findings.accepted.add(base.key)  # as after a shutdown in the guest: only its user starts it again
            continue
        diff = {"before": {key: have}, "after": {key: want}}
        yield replace(base, text=tell(have, want, reason), diff=diff)


def _told(value: Any) -> Any:
    """Return *value* without the name in a definition, which changes on the host only at the next start."""
    return {name: entry for name, entry in value.items() if name != "name"} if isinstance(value, dict) else value


def _reason_of(base: Finding, findings: Findings) -> str | None:
    """Return the reason why the server's domain is shut off."""
    domains = findings.facts[base.host].domains or []
    return next((domain.reason for domain in domains if domain.id == base.key[1]), None)


def _power(have: str, want: str, reason: str | None) -> str:
    if want == "shutoff":
        return "it runs, but should not"
    if have == "paused":
        return "it is paused"
    return OFF.get(reason or "", "it does not run")


def _definition(have: Result, want: Result, _reason: str | None) -> str:
    return f"its definition differs: {', '.join(key for key in want if have.get(key) != want[key])}"


_DOMAIN: dict[str, Callable[[Any, Any, str | None], str]] = {
    "power": _power,
    "persistent": lambda *_: "its domain is not persistent: it would be lost at the next shutdown",
    "definition": _definition,
    "boot_id": lambda *_: "a requested reboot was not done",
}


def leftovers(records: Records, host: str, facts: HostFacts) -> Iterable[Leftover]:
    """Yield domains and directories that belong to no server of the host."""
    alive = select(Server.id).where(Server.deleted_at.is_(None), Server.host == host)
    here = set(records.session.scalars(alive))
    found: dict[str, Leftover] = {}
    directories = facts.marks("server_disk", ServerDirectory)
    parts = [(domain.id, f"domain ({domain.power})", False) for domain in facts.domains or []]
    parts += [(one.id, f"directory ({'with' if one.disk else 'without'} a disk)", one.disk) for one in directories]
    for identifier, text, data in parts:
        if identifier in here or not records.settled("server", identifier):
            continue
        one = found.setdefault(identifier, Leftover(host, "server", identifier))
        one.data = one.data or data
        one.texts.append(text)
    return found.values()


def accept_shutdown(session: Session, server_id: str) -> None:
    """Record that a guest shut itself down, before a job starts it."""
    server = session.get(Server, server_id)
    if server is not None and server.status == "ACTIVE":
        server.power, server.status, server.power_state = "shutoff", "SHUTOFF", POWER["shutoff"]


def observe(session: Session, facts: Mapping[str, HostFacts], since: datetime) -> None:
    """Set the status of servers to what hosts reported in a run that began at *since*."""
    reported = {host: host_facts.domains for host, host_facts in facts.items() if host_facts.domains is not None}
    seen = {host: {domain.id: POWER[domain.power] for domain in domains} for host, domains in reported.items()}
    shut_down_by_guest = {domain.id for domains in reported.values() for domain in domains if domain.reason == OWN_WILL}
    columns = (Server.id, Server.host, Server.status, Server.power_state)
    query = select(*columns).where(Server.host.in_(seen), Server.deleted_at.is_(None))
    differing = {}
    for row in session.execute(query.where(Server.status.in_(BOOTED))):
        power = seen[row.host or ""].get(row.id, 0)
        status = STATUS.get(power, row.status) if row.status in SETTLED else row.status
        if (power, status) != (row.power_state, row.status):
            differing[row.id] = power, status
    for server_id in differing.keys() - _changed_since(session, list(differing), since):
        server = session.get_one(Server, server_id)
        log.warning("server %s: %s on %s, was %s", server_id, differing[server_id][1], server.host, server.status)
        server.power_state, server.status = differing[server_id]
        if server_id in shut_down_by_guest and server.status == "SHUTOFF":
            server.power = "shutoff"  # otherwise it is drift, and converging starts the server


def _changed_since(session: Session, server_ids: Sequence[str], since: datetime) -> set[str]:
    """Return the servers whose job is not finished, or was finished after *since*."""
    query = select(JobResource.resource_id).join(Job, Job.sequence == JobResource.job_sequence)
    mine = JobResource.resource_id.in_(server_ids) & (JobResource.resource_type == "server")
    return set(session.scalars(query.where(mine, or_(Job.finished_at.is_(None), Job.finished_at >= since)).distinct()))

"""Looking at hosts: capacity, versions, whether they answer at all, and whether servers run that should.

A host that booted has none of its servers running: those that ran before are started again.

What a look finds may be older than what a job did meanwhile: then the job is right.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.compute import Server
from skywright.db.jobs import Host, Job, JobResource, Run
from skywright.jobs.playbooks import Outcome, Work
from skywright.jobs.submit import enqueue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

log = logging.getLogger(__name__)

# Why a domain is off, as libvirt says, when it was the guest's own will.
OWN_WILL = "shutdown"
LIMIT_SECONDS = 900.0
# Nova's numbers. A server whose domain is gone has none; whoever starts it makes the domain anew.
POWER = {"running": 1, "paused": 3, "shutoff": 4, "crashed": 6}
STATUS = {0: "SHUTOFF", 1: "ACTIVE", 4: "SHUTOFF", 6: "SHUTOFF"}
SETTLED = ("ACTIVE", "SHUTOFF")
ENVELOPE = ("host", "module", "id", "changed", "hypervisor_hostname")


class HostPlaybook:
    """`playbooks/cloud/host.yml`; a job names `hosts` in its arguments, or means all that are not put off."""

    name = "host"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        """Each host is its own item."""
        tried = or_(Host.retry_at.is_(None), Host.retry_at <= utcnow())
        known = set(session.scalars(select(Host.name)))
        usual = set(session.scalars(select(Host.name).where(tried)))
        work = Work(limit_seconds=LIMIT_SECONDS)
        for job in jobs:
            hosts = set(job.arguments.get("hosts") or usual) & known
            work.depends[job.id] = {(name, name) for name in hosts}
            work.items.update({name: {} for name in hosts})
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        """A host that answered is up, with what it said; one that did not is down. Of a canceled job, nothing."""
        if outcome.canceled:
            return
        found = {result["host"]: result for result in outcome.results}
        wanted = {host for host, _ in job.items}
        for host in session.scalars(select(Host).where(Host.name.in_(wanted))):
            host.up = host.name in found
            if not host.up:
                continue
            result = found[host.name]
            info = {key: value for key, value in result.items() if key not in ENVELOPE}
            if _has_rebooted(host, info):
                _restore_servers(session, host, cloud)
            host.info = info
            host.vcpus = result.get("vcpus") or 0
            host.memory_mib = result.get("memory_mib") or 0
            host.disk_gib = result.get("disk_gib") or 0
            host.observed_at = utcnow()
        run = session.get(Run, job.run_id)
        if run is not None:
            _observe_servers(session, found.values(), run.started_at)


def _has_rebooted(host: Host, info: dict[str, Any]) -> bool:
    """Whether *host* booted since it was last looked at; as long as its libvirt is not up, that is not yet told."""
    before = (host.info or {}).get("boot")
    if info.get("domains") is None:
        info["boot"] = before
    return before is not None and info.get("boot") != before


def _restore_servers(session: Session, host: Host, cloud: "Cloud") -> None:
    """Start what ran on *host* when it went down, with all that it needs there."""
    lost = select(Server.id).where(
        Server.host == host.name, Server.deleted_at.is_(None), Server.status == "ACTIVE", Server.power == "running"
    )
    for server_id in session.scalars(lost):
        enqueue(session, cloud.queue, "server", "restore", [("server", server_id)])


def _observe_servers(session: Session, results: Iterable[dict[str, Any]], since: datetime) -> None:
    """Let servers be what hosts said of them in a run that began at *since*."""
    told = [result for result in results if result.get("domains") is not None]
    seen = {
        result["host"]: {domain["id"]: POWER.get(domain["power"], 0) for domain in result["domains"]} for result in told
    }
    own_will = {domain["id"] for result in told for domain in result["domains"] if domain.get("reason") == OWN_WILL}
    columns = (Server.id, Server.host, Server.status, Server.power_state)
    query = select(*columns).where(Server.host.in_(seen), Server.deleted_at.is_(None))
    differing = {}
    for row in session.execute(query.where(Server.status.in_((*SETTLED, "ERROR")))):
        power = seen[row.host or ""].get(row.id, 0)
        status = STATUS.get(power, row.status) if row.status in SETTLED else row.status
        if (power, status) != (row.power_state, row.status):
            differing[row.id] = power, status
    for server_id in differing.keys() - _changed_since(session, differing, since):
        server = session.get_one(Server, server_id)
        log.warning("server %s: %s on %s, was %s", server_id, differing[server_id][1], server.host, server.status)
        server.power_state, server.status = differing[server_id]
        if server_id in own_will and server.status == "SHUTOFF":
            server.power = "shutoff"  # else it is drift that it does not run, and converging starts it


def _changed_since(session: Session, server_ids: Iterable[str], since: datetime) -> set[str]:
    """The servers with a job that has not ended, or ended after *since*."""
    query = select(JobResource.resource_id).join(Job, Job.sequence == JobResource.job_sequence)
    mine = JobResource.resource_id.in_(list(server_ids)) & (JobResource.resource_type == "server")
    return set(session.scalars(query.where(mine, or_(Job.finished_at.is_(None), Job.finished_at >= since)).distinct()))


PLAYBOOK = HostPlaybook()

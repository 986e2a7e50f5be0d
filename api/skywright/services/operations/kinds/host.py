"""Looking at hosts: capacity, versions, whether they answer at all, and whether servers run that should.

A host that booted has none of its servers running: those that ran before are started again.

What a look finds may be older than what a job did meanwhile: then the job is right.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome, Work
from skywright.db.base import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.jobs.kinds import resource_kinds

LIMIT_SECONDS = 900.0
ENVELOPE = ("host", "module", "id", "changed", "hypervisor_hostname")


class HostKind:
    """`playbooks/cloud/host.yml`; a job names `hosts` in its arguments, or means all that are not put off."""

    name = playbook = "host"
    reading = probing = True

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
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

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
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
                for kind in resource_kinds(core).values():
                    kind.host_booted(session, host, core)
            host.info = info
            host.vcpus = result.get("vcpus") or 0
            host.memory_mib = result.get("memory_mib") or 0
            host.disk_gib = result.get("disk_gib") or 0
            host.observed_at = utcnow()
        run = session.get(Run, job.run_id)
        if run is not None:
            for kind in resource_kinds(core).values():
                kind.observe(session, list(found.values()), run.started_at)


def _has_rebooted(host: Host, info: dict[str, Any]) -> bool:
    """Whether *host* booted since it was last looked at; as long as its libvirt is not up, that is not yet told."""
    before = (host.info or {}).get("boot")
    if info.get("domains") is None:
        info["boot"] = before
    return before is not None and info.get("boot") != before

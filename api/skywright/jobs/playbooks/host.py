"""Looking at hosts: capacity, versions, domains, and whether they answer at all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.jobs import Host, Job
from skywright.jobs.playbooks import Outcome, Work

if TYPE_CHECKING:
    from skywright.cloud import Cloud

ENVELOPE = ("host", "module", "id", "changed", "hypervisor_hostname")


class HostPlaybook:
    """`playbooks/cloud/host.yml`; a job names `hosts` in its arguments, or means all."""

    name = "host"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        """Each host is its own item."""
        known = set(session.scalars(select(Host.name)))
        work = Work()
        for job in jobs:
            hosts = set(job.arguments.get("hosts") or known) & known
            work.depends[job.id] = {(name, name) for name in hosts}
            work.items.update({name: {} for name in hosts})
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        """A host that answered is up, with what it said; one that did not is down. Of a run that failed, nothing."""
        found = {result["host"]: result for result in outcome.results}
        wanted = {host for host, _ in job.items}
        for host in session.scalars(select(Host).where(Host.name.in_(wanted))):
            host.up = host.name in found
            if not host.up:
                continue
            result = found[host.name]
            host.info = {key: value for key, value in result.items() if key not in ENVELOPE}
            host.vcpus = result.get("vcpus") or 0
            host.memory_mib = result.get("memory_mib") or 0
            host.disk_gib = result.get("disk_gib") or 0
            host.observed_at = utcnow()


PLAYBOOK = HostPlaybook()

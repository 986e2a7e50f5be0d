"""Observation of hosts: capacity, versions, whether they are reachable, and whether their servers run.

After a boot of a host none of its servers runs: those that ran before are started again.

An observation may be older than the result of a job; then the job's result is kept.
"""

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from skywright.core import Core, Outcome, Work
from skywright.db.base import utcnow
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host, Job, Run
from skywright.jobs.kinds import resource_kinds

LIMIT_SECONDS = 900.0


class HostKind:
    """`playbooks/cloud/host.yml`. A job has `hosts` in its arguments, or observes all hosts that are not paused."""

    name = playbook = "host"
    read_only = probing = True

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        """Render one item for each host."""
        tried = or_(Host.retry_at.is_(None), Host.retry_at <= utcnow())
        known = set(session.scalars(select(Host.name)))
        usual = set(session.scalars(select(Host.name).where(tried)))
        work = Work(timeout_seconds=LIMIT_SECONDS)
        for job in jobs:
            hosts = set(job.arguments.get("hosts") or usual) & known
            work.depends[job.id] = {(name, name) for name in hosts}
            work.items.update({name: {} for name in hosts})
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        """Store the facts of hosts that answered, and set the others to down. Ignore canceled jobs."""
        if outcome.canceled:
            return
        found = {result["host"]: HostFacts.of_result(result) for result in outcome.results}
        wanted = {host for host, _ in job.items}
        run = session.get(Run, job.run_id)
        since = run.started_at if run is not None else utcnow()
        for host in session.scalars(select(Host).where(Host.name.in_(wanted))):
            if host.name not in found:
                host.up = host.up and host.observed_since(since)
                continue
            before, facts = host.facts.boot, found[host.name]
            if facts.domains is None:  # libvirt is not running yet, so that servers cannot be started
                facts = facts.model_copy(update={"boot": before})
            if before not in (None, facts.boot):
                for kind in resource_kinds(core).values():
                    kind.host_booted(session, host, core)
            host.facts = facts
            host.observed_at = utcnow()
        if run is not None:
            for kind in resource_kinds(core).values():
                kind.observe(session, found, run.started_at)

"""Recovery: jobs whose worker died return to the queue when no process of their run is left on this machine.

On hosts, processes may be left: the next run on such a host ends them first (`Host.unended_runs`).
"""

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs.engine import host_state
from skywright.jobs.engine.leases import LeaseWatch
from skywright.jobs.engine.settle import requeue
from skywright.jobs.runs import rundir

log = logging.getLogger(__name__)


def orphaned_runs(session: Session, core: Core, watch: LeaseWatch) -> dict[str, str]:
    """Return {run id: reason} of runs that have running jobs but no worker.

    If the run's directory is on this machine, its processes decide; else only its lease.
    """
    runs = core.settings.run_dir
    query = select(Job.run_id, Job.lease_until).where(Job.state == "running", Job.run_id.is_not(None))
    leases = {run_id: lease_until for run_id, lease_until in session.execute(query) if run_id is not None}
    here = {run_id for run_id in leases if (runs / run_id).exists()}
    orphans = {run_id: "The worker died" for run_id in here if rundir.is_abandoned(runs, run_id)}
    expired = watch.expired({run_id: leases[run_id] for run_id in leases.keys() - here})
    return orphans | dict.fromkeys(expired, "The worker did not renew its lease")


def recover(core: Core, watch: LeaseWatch) -> int:
    """Queue the jobs of orphaned runs again; return how many."""
    with core.database.read() as session:
        orphans = orphaned_runs(session, core, watch)
    if not orphans:
        return 0
    # Before the jobs are queued: if this worker dies now, the next one begins here.
    for run_id in orphans:
        rundir.kill_marked(run_id)
        rundir.empty(core.settings.run_dir, run_id)
    with core.database.write() as session:
        # The worker may have renewed the lease in the meantime.
        orphans = {run_id: why for run_id, why in orphaned_runs(session, core, watch).items() if run_id in orphans}
        jobs = session.scalars(select(Job).where(Job.run_id.in_(orphans), Job.state == "running")).all()
        changing = {job.run_id for job in jobs if not core.kind_of(job.playbook).read_only}
        for job in jobs:
            requeue(session, core, job, orphans[job.run_id or ""])
        for run in session.scalars(select(Run).where(Run.id.in_(orphans), Run.state == "running")):
            run.state, run.finished_at = "error", utcnow()
            if run.id in changing:
                host_state.record_unended(session, run.id, run.hosts)
    for run_id in orphans:
        rundir.remove(core.settings.run_dir, run_id)
    return len(jobs)

"""Jobs whose worker is gone go back to the queue, once it is sure that nothing of their run lives."""

import logging
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs import rundir
from skywright.jobs.leases import Watch
from skywright.jobs.settle import requeue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

log = logging.getLogger(__name__)


def orphaned_runs(session: Session, cloud: "Cloud", watch: Watch) -> dict[str, str]:
    """Runs with running jobs but without a worker, by the reason to think so.

    Of a run whose directory is here, the processes tell; of any other one, only its lease.
    """
    runs = cloud.settings.run_dir
    query = select(Job.run_id, Job.lease_until).where(Job.state == "running", Job.run_id.is_not(None))
    leases = {run_id: lease_until for run_id, lease_until in session.execute(query) if run_id is not None}
    here = {run_id for run_id in leases if (runs / run_id).exists()}
    orphans = {run_id: "The worker died" for run_id in here if rundir.abandoned(runs, run_id)}
    expired = watch.expired({run_id: leases[run_id] for run_id in leases.keys() - here})
    return orphans | dict.fromkeys(expired, "The worker was not heard of any more")


def recover(cloud: "Cloud", watch: Watch) -> int:
    """Queue the jobs of orphaned runs again; how many."""
    with cloud.database.read() as session:
        orphans = orphaned_runs(session, cloud, watch)
    if not orphans:
        return 0
    # Before the jobs are anybody's again: should this worker die now, the next one begins here.
    for run_id in orphans:
        rundir.empty(cloud.settings.run_dir, run_id)
    with cloud.database.write() as session:
        # A worker that was not heard of may have been heard of since.
        orphans = {run_id: why for run_id, why in orphaned_runs(session, cloud, watch).items() if run_id in orphans}
        jobs = session.scalars(select(Job).where(Job.run_id.in_(orphans), Job.state == "running")).all()
        for job in jobs:
            requeue(session, cloud, job, orphans[job.run_id or ""])
        for run in session.scalars(select(Run).where(Run.id.in_(orphans), Run.state == "running")):
            run.state, run.finished_at = "error", utcnow()
    for run_id in orphans:
        rundir.remove(cloud.settings.run_dir, run_id)
    return len(jobs)

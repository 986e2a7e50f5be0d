"""Jobs whose worker is gone go back to the queue, once it is sure that nothing of their run lives."""

import logging
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs import rundir
from skywright.jobs.settle import requeue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

log = logging.getLogger(__name__)


def orphaned_runs(session: Session, cloud: "Cloud") -> dict[str, str]:
    """Runs with running jobs but without a worker, by the reason to think so."""
    runs = cloud.settings.run_dir
    leases = select(Job.run_id, Job.lease_until).where(Job.state == "running", Job.run_id.is_not(None))
    now = utcnow()
    orphans: dict[str, str] = {}
    for run_id, lease_until in session.execute(leases):
        if run_id is None or run_id in orphans:
            continue
        if rundir.abandoned(runs, run_id):
            orphans[run_id] = "The worker died"
        elif lease_until is not None and lease_until < now and not rundir.alive(runs, run_id):
            orphans[run_id] = "The worker was not heard of any more"
    return orphans


def recover(cloud: "Cloud") -> int:
    """Queue the jobs of orphaned runs again; how many."""
    with cloud.database.read() as session:
        orphans = orphaned_runs(session, cloud)
    if not orphans:
        return 0
    # Before the jobs are anybody's again: should this worker die now, the next one begins here.
    for run_id in orphans:
        rundir.empty(cloud.settings.run_dir, run_id)
    with cloud.database.write() as session:
        jobs = session.scalars(select(Job).where(Job.run_id.in_(orphans), Job.state == "running")).all()
        for job in jobs:
            requeue(session, cloud, job, orphans[job.run_id or ""])
        for run in session.scalars(select(Run).where(Run.id.in_(orphans), Run.state == "running")):
            run.state, run.finished_at = "error", utcnow()
    for run_id in orphans:
        rundir.remove(cloud.settings.run_dir, run_id)
    return len(jobs)

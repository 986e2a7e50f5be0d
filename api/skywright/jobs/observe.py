"""Looking at the hosts now and then: one job for all of them, in one run."""

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.jobs import Host, Job, Run
from skywright.jobs.settle import UNFINISHED
from skywright.jobs.submit import enqueue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

ACTION = "observe"
# Nobody asked for these jobs: their traces are kept only as long as they may tell something.
KEPT = timedelta(minutes=30)


def submit_if_due(cloud: "Cloud") -> bool:
    """Queue a look at all hosts if there are any and the last one is old enough."""
    period = timedelta(seconds=cloud.settings.observe_seconds)
    if not period:
        return False
    with cloud.database.read() as session:
        if not _due(session, period):
            return False
    with cloud.database.write() as session:
        if _due(session, period):
            _forget(session)
            enqueue(session, cloud.queue, "host", ACTION, [])
    return True


def _due(session: Session, period: timedelta) -> bool:
    if session.scalar(select(Host.name).limit(1)) is None:
        return False
    observations = select(func.max(Job.created_at)).where(Job.playbook == "host", Job.user_id.is_(None))
    last = session.scalar(observations)
    unfinished = session.scalar(select(Job.id).where(Job.playbook == "host", Job.state.in_(UNFINISHED)).limit(1))
    return unfinished is None and (last is None or last < utcnow() - period)


def _forget(session: Session) -> None:
    old = select(Job).where(
        Job.playbook == "host", Job.user_id.is_(None), Job.state.not_in(UNFINISHED), Job.created_at < utcnow() - KEPT
    )
    jobs = session.scalars(old).all()
    runs = {job.run_id for job in jobs}
    for job in jobs:
        session.delete(job)
    session.flush()
    shared = set(session.scalars(select(Job.run_id).where(Job.run_id.in_(runs))))
    session.execute(delete(Run).where(Run.id.in_(runs - shared - {None})))

"""What jobs work on, now or since a moment. The state of these resources on hosts proves nothing."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.jobs import UNFINISHED, Job, JobResource

Key = tuple[str, str]  # a resource's type and id


@dataclass(frozen=True)
class Moment:
    """A point in the history of jobs. Clocks are not enough, because those of several machines may differ."""

    at: datetime
    last: int
    unfinished: frozenset[int]


@dataclass(frozen=True)
class Touched:
    """What jobs worked on: resources, and the items that decided the jobs, on all hosts."""

    resources: frozenset[Key]
    items: frozenset[str]


def unfinished(session: Session, core: Core) -> dict[Key, Job]:
    """Return the resources that have an unfinished job, with the first of these jobs."""
    query = (
        select(JobResource, Job)
        .join(Job, Job.sequence == JobResource.job_sequence)
        .where(Job.state.in_(UNFINISHED), Job.playbook.not_in(core.read_only_kinds))
        .order_by(Job.sequence.desc())
    )
    return {(resource.resource_type, resource.resource_id): job for resource, job in session.execute(query)}


def now(session: Session) -> Moment:
    """Return the moment of *session*'s transaction."""
    last = session.scalar(select(func.max(Job.sequence))) or 0
    return Moment(utcnow(), last, frozenset(session.scalars(select(Job.sequence).where(Job.state.in_(UNFINISHED)))))


def touched(session: Session, core: Core, since: Moment) -> Touched:
    """Return what jobs worked on that were unfinished at some time since that moment."""
    query = select(Job).where(
        Job.playbook.not_in(core.read_only_kinds),
        or_(
            Job.finished_at.is_(None),
            Job.finished_at >= since.at,
            Job.sequence > since.last,
            Job.sequence.in_(since.unfinished),
        ),
    )
    jobs = session.scalars(query).all()
    return Touched(
        frozenset((row.resource_type, row.resource_id) for job in jobs for row in job.resources),
        frozenset(item for job in jobs for _host, item in job.items),
    )

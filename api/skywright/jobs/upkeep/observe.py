"""Periodic observation: one job that observes all hosts, in one run.

Unreachable hosts are observed again when their pause is over; see `skywright.jobs.engine.host_state`.
"""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.core import Core
from skywright.db.base import utcnow
from skywright.db.jobs import UNFINISHED, Host, Job
from skywright.jobs.engine.submit import enqueue

ACTION = "observe"
PROBE = "probe"


def submit_if_due(core: Core) -> bool:
    """Queue an observation of all hosts if one is due, or else of the unreachable hosts whose pause is over."""
    period = timedelta(seconds=core.settings.observe_seconds)
    if not period:
        return False
    with core.database.read() as session:
        if _due(session, period) is None:
            return False
    with core.database.write() as session:
        hosts = _due(session, period)
        if hosts:
            enqueue(session, core.queue, "host", PROBE, [], {"hosts": hosts})
        elif hosts is not None:
            enqueue(session, core.queue, "host", ACTION, [])
    return True


def _due(session: Session, period: timedelta) -> list[str] | None:
    """Return the hosts to observe now, an empty list for all; None if no observation is due."""
    if session.scalar(select(Host.name).limit(1)) is None:
        return None
    if session.scalar(select(Job.id).where(Job.playbook == "host", Job.state.in_(UNFINISHED)).limit(1)):
        return None
    now = utcnow()
    last = session.scalar(
        select(func.max(Job.created_at)).where(Job.playbook == "host", Job.action == ACTION, Job.user_id.is_(None))
    )
    if last is None or last < now - period:
        return []
    return list(session.scalars(select(Host.name).where(Host.retry_at <= now))) or None

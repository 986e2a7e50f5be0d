"""Looking at the hosts now and then: one job for all of them, in one run.

Hosts that did not answer are looked at again when their time has come; see `skywright.jobs.engine.host_state`.
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
    """Queue a look at all hosts if the last one is old enough, or at those whose turn it is to be tried again."""
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
    """The hosts to look at now, none of them for all; None if it is not time."""
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

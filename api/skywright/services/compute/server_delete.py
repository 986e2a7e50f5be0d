"""Deletion of servers: in every status, and immediately if nothing was built yet."""

from collections.abc import Sequence

from sqlalchemy import func, select, update

from skywright.db import after_commit, utcnow
from skywright.db.jobs import UNFINISHED, Job, JobResource
from skywright.http import Context
from skywright.jobs.engine.submit import submit
from skywright.services.compute.kinds.outcomes import DELETING, mark_deleted
from skywright.services.compute.tables import Server


def delete(context: Context, server: Server) -> None:
    """Delete *server*: by a job, or immediately if no host has a part of it. A repeated request changes nothing."""
    jobs = _unfinished(context, server)
    if any(job.action == "delete" for job in jobs):
        return
    if server.host is None and _cancel(context, jobs):
        mark_deleted(context.db, context.core.queue, server)
        job = submit(context, "server", "delete", [("server", server.id)])
        job.state, job.started_at, job.finished_at, job.waiting_since = "successful", utcnow(), utcnow(), None
        return
    server.task_state = DELETING
    context.db.flush()
    for job in jobs:
        for needless in [job] if job.state == "queued" else _jobs_of_needless_run(context, job):
            needless.cancel_requested_at = needless.cancel_requested_at or utcnow()
    after_commit(
        context.db, "notify all workers", context.cloud.queue.notify_all
    )  # the workers of these jobs cancel them
    submit(context, "server", "delete", [("server", server.id)])


def _jobs_of_needless_run(context: Context, job: Job) -> Sequence[Job]:
    """Return the jobs of *job*'s run if all of them work on servers that are being deleted.

    Otherwise the deletion waits for the run, so that it does not affect other users' servers.
    """
    jobs = context.db.scalars(select(Job).where(Job.run_id == job.run_id, Job.state == "running")).all()
    servers = {row.resource_id for other in jobs for row in other.resources if row.resource_type == "server"}
    deleting = select(func.count()).where(Server.id.in_(servers), Server.task_state == DELETING)
    return jobs if context.db.scalar(deleting) == len(servers) else ()


def _unfinished(context: Context, server: Server) -> list[Job]:
    query = (
        select(Job)
        .join(JobResource, JobResource.job_sequence == Job.sequence)
        .where(JobResource.resource_type == "server", JobResource.resource_id == server.id)
        .where(Job.playbook == "server", Job.state.in_(UNFINISHED))
    )
    return list(context.db.scalars(query))


def _cancel(context: Context, jobs: list[Job]) -> bool:
    """Cancel the jobs that have not started; return whether none is left."""
    for job in jobs:
        # A worker may claim the job at the same time: one statement checks the state and changes it.
        query = update(Job).where(Job.sequence == job.sequence, Job.state == "queued")
        done = context.db.execute(query.values(state="canceled", finished_at=utcnow(), waiting_since=None))
        if done.rowcount != 1:  # type: ignore[attr-defined]
            return False
    return True

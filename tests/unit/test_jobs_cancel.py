"""Canceled creates."""

from pathlib import Path

import jobs_fake
import pytest
from claim_helpers import ask, cloud, next_run, take
from sqlalchemy import select

from skywright.cloud import Cloud
from skywright.core import CREATE
from skywright.db import utcnow
from skywright.db.jobs import Job
from skywright.jobs.engine.claim import Claim
from skywright.jobs.engine.selection import Selection
from skywright.jobs.engine.settle import MAX_ATTEMPTS, cancel, requeue

__all__ = ["cloud"]


class TestCancel:
    """A canceled create removes what it made, at its place in the queue."""

    @pytest.fixture
    def created(self, cloud: Cloud) -> tuple[str, Claim]:
        job_id = ask(cloud, None, "a")
        with cloud.database.write() as session:
            session.scalars(select(Job).where(Job.id == job_id)).one().action = CREATE
        claimed = take(cloud)
        assert claimed is not None
        return job_id, claimed

    def cancel(self, cloud: Cloud, job_id: str) -> None:
        with cloud.database.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id)).one()
            job.cancel_requested_at = utcnow()
            cancel(session, cloud, job)

    def test_it_runs_before_later_jobs(self, cloud: Cloud, created: tuple[str, Claim], tmp_path: Path) -> None:
        job_id, _ = created
        later = ask(cloud, None, "a")
        ask(cloud, None, "b", priority=100)
        self.cancel(cloud, job_id)
        job = jobs_fake.job(cloud, job_id)
        assert (job.state, job.undoing, job.error) == ("queued", True, None)
        assert next_run(cloud, Selection())[0] == job_id
        job = jobs_fake.job(cloud, job_id)
        assert (job.state, job.error) == ("canceled", "The job was canceled")
        assert next_run(cloud, Selection()) == [later]

    def test_it_survives_its_worker(self, cloud: Cloud, created: tuple[str, Claim]) -> None:
        job_id, _ = created
        self.cancel(cloud, job_id)
        assert take(cloud) is not None
        with cloud.database.write() as session:
            requeue(session, cloud, session.scalars(select(Job).where(Job.id == job_id)).one(), "The worker died")
        job = jobs_fake.job(cloud, job_id)
        assert (job.state, job.undoing) == ("queued", True)

    def test_it_ends_after_too_many_attempts(self, cloud: Cloud, created: tuple[str, Claim]) -> None:
        job_id, _ = created
        self.cancel(cloud, job_id)
        with cloud.database.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id)).one()
            job.attempts = MAX_ATTEMPTS
            requeue(session, cloud, job, "The run was killed")
        job = jobs_fake.job(cloud, job_id)
        assert job.state == "canceled"
        assert (job.error or "").startswith("The job was canceled; the changes are not undone yet: The run was killed")

    def test_a_create_that_did_not_begin_ends_at_once(self, cloud: Cloud) -> None:
        job_id = ask(cloud, None, "a", cancel_requested_at=utcnow())
        assert take(cloud) is None
        assert jobs_fake.job(cloud, job_id).state == "canceled"

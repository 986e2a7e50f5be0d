"""Requests for jobs, and runs that end at once, with a database and without a worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jobs_fake
import pytest

from skywright.cloud import Cloud
from skywright.core import Outcome
from skywright.db import new_uuid
from skywright.db.jobs import Job, JobResource
from skywright.jobs.engine.claim import Claim, claim, still_claimed
from skywright.jobs.engine.selection import Selection
from skywright.jobs.engine.settle import settle


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = jobs_fake.make_cloud(tmp_path)
    yield cloud
    cloud.database.engine.dispose()


def take(cloud: Cloud, worker: str = "w1") -> Claim | None:
    with cloud.database.write() as session:
        return claim(session, cloud, worker, new_uuid())


def end(cloud: Cloud, claimed: Claim) -> None:
    with cloud.database.write() as session:
        for job in still_claimed(session, claimed.attempts):
            settle(session, cloud, job, Outcome(ok=True))


def ask(cloud: Cloud, project: str | None, *resources: str, playbook: str = "fake", **values: Any) -> str:
    """Queue a job of *project*."""
    with cloud.database.write() as session:
        job = Job(playbook=playbook, action="write", project_id=project, **values)
        job.resources = [JobResource(resource_type="file", resource_id=name) for name in resources]
        session.add(job)
        session.flush()
        return job.id


def next_run(cloud: Cloud, selection: Selection) -> list[str]:
    """Return the jobs of the next run, which ends at once."""
    with cloud.database.write() as session:
        claimed = claim(session, cloud, "w1", new_uuid(), selection)
    assert claimed is not None
    end(cloud, claimed)
    return list(claimed.attempts)


def names(cloud: Cloud, run: list[str]) -> list[str]:
    return [jobs_fake.job(cloud, job_id).resources[0].resource_id for job_id in run]

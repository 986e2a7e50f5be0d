"""Canceling and deleting servers that are being built: which runs are ended, and what users see."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection
from sqlalchemy import select

from contract.compute_helpers import Fixtures, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Job, JobResource, Run
from skywright.jobs.engine.claim import claim
from skywright.jobs.engine.settle import cancel, requeue


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "host1", "host2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture(autouse=True)
def clean(api: Api, demo: Connection) -> Iterator[None]:
    run_jobs(api.cloud)
    yield
    with api.cloud.database.write() as session:
        for job in session.scalars(select(Job).where(Job.state == "running")):
            job.state, job.undoing, job.cancel_requested_at = "queued", False, None
    run_jobs(api.cloud)


def create(demo: Connection, fixtures: Fixtures, name: str = "one") -> str:
    endpoint = demo.session.get_endpoint(service_type="compute", interface="public")
    answer = demo.session.post(f"{endpoint}/servers", json=fixtures.body(name))
    return str(answer.json()["server"]["id"])


def start_run(api: Api) -> Any:
    """Claim the queued jobs and begin their run, like a worker."""
    with api.cloud.database.write() as session:
        return claim(session, api.cloud, "w", new_uuid())


def job_of(api: Api, server_id: str, action: str) -> Job:
    with api.cloud.database.read() as session:
        query = select(Job).join(JobResource).where(JobResource.resource_id == server_id, Job.action == action)
        return session.scalars(query).one()


def end_canceled(api: Api, run_id: str) -> None:
    """Settle a run that was ended because some of its jobs were canceled, like a worker."""
    with api.cloud.database.write() as session:
        for job in session.scalars(select(Job).where(Job.run_id == run_id, Job.state == "running")):
            if job.cancel_requested_at is None:
                requeue(session, api.cloud, job, "Its run was ended for another reason", counted=False)
            else:
                cancel(session, api.cloud, job)
        session.get_one(Run, run_id).state = "canceled"


def test_deleting_a_server_that_is_being_built_ends_its_run(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    server_id = create(demo, fixtures)
    claimed = start_run(api)
    demo.compute.delete_server(server_id)
    assert job_of(api, server_id, "create").cancel_requested_at is not None
    assert demo.compute.get_server(server_id).task_state == "deleting"
    end_canceled(api, claimed.run_id)
    works = run_jobs(api.cloud)
    assert job_of(api, server_id, "create").state == "canceled"
    sent = [item for work in works for host in work.items.values() for item in host.get("servers", [])]
    assert sent == [{"id": server_id, "state": "absent"}], "once is enough"
    assert demo.compute.find_server(server_id) is None


def test_a_deletion_does_not_end_a_run_that_other_jobs_share(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    first, second = create(demo, fixtures), create(demo, fixtures, "two")
    start_run(api)
    demo.compute.delete_server(first)
    assert job_of(api, first, "create").cancel_requested_at is None
    demo.compute.delete_server(second)
    canceled = {job_of(api, server_id, "create").cancel_requested_at is not None for server_id in (first, second)}
    assert canceled == {True}, "all its jobs are canceled"


def test_a_canceled_create_leaves_an_error_that_can_be_deleted(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    server_id = create(demo, fixtures)
    claimed = start_run(api)
    url = f"{api.url}/v1/jobs/{job_of(api, server_id, 'create').id}"
    assert demo.session.post(f"{url}/cancel").status_code == 202
    end_canceled(api, claimed.run_id)
    job = demo.session.get(url).json()["job"]
    assert (job["state"], job["waiting_for"]) == ("queued", "a worker, to undo its changes")
    run_jobs(api.cloud)
    assert demo.session.get(url).json()["job"]["state"] == "canceled"
    server = demo.compute.get_server(server_id)
    assert (server.status, server.fault["message"]) == ("ERROR", "The job was canceled")
    reboot = f"{demo.session.get_endpoint(service_type='compute', interface='public')}/servers/{server_id}/action"
    assert demo.session.post(reboot, json={"reboot": {"type": "HARD"}}, raise_exc=False).status_code == 409
    demo.compute.delete_server(server_id)
    assert demo.compute.find_server(server_id) is None


def test_a_deletion_cancels_jobs_that_did_not_begin(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    server_id = create(demo, fixtures)
    run_jobs(api.cloud)
    demo.compute.stop_server(server_id)
    demo.compute.delete_server(server_id)
    run_jobs(api.cloud)
    assert job_of(api, server_id, "stop").state == "canceled"
    assert demo.compute.find_server(server_id) is None


def test_a_deletion_that_has_begun_cannot_be_canceled(api: Api, demo: Connection, fixtures: Fixtures) -> None:
    server_id = create(demo, fixtures)
    run_jobs(api.cloud)
    demo.compute.delete_server(server_id)
    url = f"{api.url}/v1/jobs/{job_of(api, server_id, 'delete').id}/cancel"
    claimed = start_run(api)
    assert demo.session.post(url, raise_exc=False).status_code == 409
    with api.cloud.database.write() as session:
        session.scalars(select(Job).where(Job.run_id == claimed.run_id)).one().cancel_requested_at = utcnow()
    end_canceled(api, claimed.run_id)
    run_jobs(api.cloud)
    assert job_of(api, server_id, "delete").state == "successful"

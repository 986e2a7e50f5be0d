"""The native API: hosts, jobs and their event streams, with a real worker and Ansible on this machine."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.conftest import Api
from skywright.db import utcnow
from skywright.db.jobs import Event, Job, JobResource, Run
from workers import working

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
LOCAL["hypervisor_libvirt_uri"] = "test:///default"


@pytest.fixture(scope="module")
def worker(api: Api) -> Iterator[None]:
    with working(api.cloud):
        yield


@pytest.fixture
def url(api: Api) -> str:
    return f"{api.url}/v1"


@pytest.fixture
def shared_run(api: Api, demo: Connection, alt: Connection) -> dict[str, str]:
    """Two projects' jobs in one completed run: {project: job id}."""
    with api.cloud.database.write() as session:
        run = Run(playbook="server", worker="w", hosts=["secret-host"], steps_done=1, steps_total=1, state="failed")
        session.add(run)
        session.flush()
        items = [{"id": "mine", "error": "no disk"}, {"id": "theirs", "error": "secret reason"}]
        kinds = [("playbook_on_task_start", {}), ("runner_on_failed", {"items": items, "message": "secret: theirs"})]
        for counter, (kind, data) in enumerate(kinds, 1):
            host = "secret-host" if data else None
            session.add(Event(run_id=run.id, counter=counter, kind=kind, host=host, task="Converge", data=data))
        jobs = {}
        for name, connection, item in (("demo", demo, "mine"), ("alt", alt, "theirs")):
            job = Job(playbook="server", action="create", state="failed", project_id=connection.current_project_id)
            job.run_id, job.attempts, job.items = run.id, 1, [["secret-host", item]]
            job.started_at = job.finished_at = utcnow()
            job.resources = [JobResource(resource_type="server", resource_id=item)]
            session.add(job)
            session.flush()
            jobs[name] = job.id
    return jobs


@pytest.fixture
def waiting(api: Api, demo: Connection) -> str:
    """A job of demo that no worker claims soon."""
    with api.cloud.database.write() as session:
        job = Job(playbook="host", action="observe", project_id=demo.current_project_id)
        job.not_before = utcnow().replace(year=utcnow().year + 1)
        session.add(job)
        session.flush()
        return job.id


def get(connection: Connection, path: str, **options: Any) -> requests.Response:
    return connection.session.get(path, raise_exc=False, **options)


def follow(connection: Connection, url: str, last: str = "") -> Iterator[dict[str, Any]]:
    """Yield the messages of a stream until its end."""
    headers = {"X-Auth-Token": connection.auth_token, "Last-Event-ID": last}
    with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        message: dict[str, Any] = {}
        for line in answer.iter_lines(chunk_size=1 << 16, decode_unicode=True):
            if line:
                name, _, value = line.partition(": ")
                message[name] = json.loads(value) if name == "data" else value
            elif message:
                yield message
                message = {}


def test_the_catalog_has_the_native_api(demo: Connection, url: str) -> None:
    assert demo.session.get_endpoint(service_type="operations", interface="public") == url
    assert requests.get(url, timeout=5).json()["version"]["id"] == "v1.0"


def test_health_needs_no_token(api: Api) -> None:
    assert requests.get(f"{api.url}/healthz", timeout=5).json() == {"status": "ok"}
    assert requests.get(f"{api.url}/readyz", timeout=5).json() == {"status": "ok", "database": "ok", "broker": "ok"}


@pytest.mark.usefixtures("worker")
def test_a_host_is_registered_observed_and_removed(admin: Connection, url: str) -> None:
    body = {"host": {"groups": ["computes", "all"], "variables": {**LOCAL, "ansible_password": "pw-canary"}}}
    answer = admin.session.put(f"{url}/hosts/here", json=body)
    assert answer.status_code == 201
    messages = list(follow(admin, f"{url}/jobs/{answer.json()['job']['id']}/follow"))
    assert messages[-1]["data"]["state"] == "successful"
    host = admin.session.get(f"{url}/hosts/here").json()["host"]
    assert (host["groups"], host["up"], host["vcpus"] > 0) == (["computes"], True, True)
    assert host["variables"]["ansible_password"] == "***"
    host = admin.session.put(f"{url}/hosts/here", json={"host": {"variables": host["variables"]}}).json()["host"]
    with_password = admin.session.get(f"{url}/hosts").text
    assert "pw-canary" not in with_password
    state = {"host": {"state": "disabled", "disabled_reason": "new disk"}}
    host = admin.session.put(f"{url}/hosts/here", json=state).json()["host"]
    assert (host["state"], host["disabled_reason"]) == ("disabled", "new disk")
    assert admin.session.delete(f"{url}/hosts/here").status_code == 204
    assert get(admin, f"{url}/hosts/here").status_code == 404


@pytest.mark.usefixtures("worker")
def test_an_unreachable_host_is_down(api: Api, admin: Connection, url: str) -> None:
    variables = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    answer = admin.session.put(f"{url}/hosts/gone", json={"host": {"variables": variables}}).json()
    *_, last = follow(admin, f"{url}/jobs/{answer['job']['id']}/follow")
    job = last["data"]
    assert job["state"] == "failed"
    assert "gone is unreachable" in job["error"]
    assert admin.session.get(f"{url}/hosts/gone").json()["host"]["up"] is False
    admin.session.delete(f"{url}/hosts/gone")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("-rf", {}),
        ("a[1:3]", {}),
        ("a" * 256, {}),
        ("here", {"groups": ["bad-group"]}),
        ("here", {"variables": {"{{ x }}": 1}}),
        ("here", {"state": "broken"}),
        ("here", {"surprise": 1}),
    ],
)
def test_invalid_hosts_are_refused(admin: Connection, url: str, name: str, host: dict[str, Any]) -> None:
    answer = admin.session.put(f"{url}/hosts/{name}", json={"host": host}, raise_exc=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 400


def test_hosts_are_for_administrators(demo: Connection, url: str) -> None:
    for method, path in (("GET", "/hosts"), ("GET", "/hosts/x"), ("PUT", "/hosts/x"), ("DELETE", "/hosts/x")):
        answer = demo.session.request(f"{url}{path}", method, json={"host": {}}, raise_exc=False)
        assert answer.status_code == 403, (method, path)
    assert requests.get(f"{url}/hosts", timeout=5).status_code == 401


def test_a_project_sees_only_its_own_jobs_and_items(
    shared_run: dict[str, str], admin: Connection, demo: Connection, url: str
) -> None:
    jobs = demo.session.get(f"{url}/jobs").json()["jobs"]
    assert shared_run["demo"] in {job["id"] for job in jobs}
    assert {job["project_id"] for job in jobs} == {demo.current_project_id}
    assert get(demo, f"{url}/jobs/{shared_run['alt']}").status_code == 404
    assert get(demo, f"{url}/jobs/{shared_run['alt']}/follow").status_code == 404
    answer = demo.session.get(f"{url}/jobs/{shared_run['demo']}")
    assert "secret" not in answer.text
    assert "theirs" not in answer.text
    job = answer.json()["job"]
    assert job["events"][1]["items"] == [{"id": "mine", "error": "no disk"}]
    assert [step["state"] for step in job["steps"]] == ["failed"]
    assert "secret" not in json.dumps(list(follow(demo, f"{url}/jobs/{shared_run['demo']}/follow")))
    assert "secret reason" in admin.session.get(f"{url}/jobs/{shared_run['demo']}").text


def test_jobs_are_filtered_and_paged(shared_run: dict[str, str], admin: Connection, url: str) -> None:
    def ids(**parameters: Any) -> list[str]:
        return [job["id"] for job in admin.session.get(f"{url}/jobs", params=parameters).json()["jobs"]]

    assert shared_run["demo"] in ids(resource="mine", state="failed")
    assert shared_run["demo"] in ids(resource="server:mine", state="queued,failed")
    assert ids(resource="network:mine") == []
    assert shared_run["alt"] not in ids(resource="mine")
    first = ids(limit=1)
    assert first != ids(limit=1, marker=first[0])
    assert get(admin, f"{url}/jobs", params={"limit": 0}).status_code == 400
    assert get(admin, f"{url}/jobs", params={"marker": "none"}).status_code == 404


def test_a_stream_has_the_end_of_a_job(api: Api, waiting: str, demo: Connection, url: str) -> None:
    states = []
    for message in follow(demo, f"{url}/jobs/{waiting}/follow"):
        states.append(message["data"]["state"])
        if states == ["queued"]:
            with api.cloud.database.write() as session:
                job = session.query(Job).filter_by(id=waiting).one()
                job.state, job.finished_at = "canceled", utcnow()
    assert states == ["queued", "canceled"]


def test_only_operators_prioritize_jobs(waiting: str, admin: Connection, demo: Connection, url: str) -> None:
    def patch(connection: Connection, job: Any, path: str = waiting) -> requests.Response:
        return connection.session.patch(f"{url}/jobs/{path}", json={"job": job}, raise_exc=False)

    assert patch(demo, {"priority": 1}).status_code == 403
    answer = patch(admin, {"priority": 7})
    assert (answer.status_code, answer.json()["job"]["priority"]) == (200, 7)
    for job in ({"priority": 101}, {"priority": "7"}, {"priority": True}, {"state": "running"}, {}, None, 10**30):
        assert patch(admin, job).status_code == 400, job
    assert patch(admin, {"priority": 1}, "none").status_code == 404


@pytest.mark.usefixtures("worker")
def test_cancel(waiting: str, admin: Connection, demo: Connection, alt: Connection, url: str) -> None:
    cancel = f"{url}/jobs/{waiting}/cancel"
    assert alt.session.post(cancel, raise_exc=False).status_code == 404
    assert demo.session.post(cancel).status_code == 202
    *_, last = follow(demo, f"{url}/jobs/{waiting}/follow")
    assert last["data"]["state"] == "canceled"
    assert demo.session.post(cancel, raise_exc=False).status_code == 409

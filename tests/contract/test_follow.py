"""Following jobs: no change is missing or repeated, and users see only their own."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.conftest import Api
from skywright.db import utcnow
from skywright.db.jobs import Event, Job, JobResource, Run
from skywright.jobs.engine import events
from skywright.services.operations import feed, follow

EVENTS = 10_000


class Stream:
    """A client of a stream."""

    def __init__(self, api: Api, connection: Connection, path: str, last: str = "") -> None:
        headers = {"X-Auth-Token": connection.auth_token, **({"Last-Event-ID": last} if last else {})}
        self._answer = requests.get(f"{api.url}/v1{path}", headers=headers, stream=True, timeout=20)
        self.status = self._answer.status_code
        self._lines = self._answer.iter_lines(chunk_size=1 << 16)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_error: object) -> None:
        self._answer.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        message: dict[str, Any] = {}
        for line in self._lines:
            name, colon, value = line.decode().partition(": ")
            if name and colon:
                message[name] = json.loads(value) if name == "data" else value
            elif not line and message:
                yield message
                message = {}

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the messages up to the first one that matches."""
        found = []
        for message in self:
            found.append(message)
            if condition(message):
                return found
        raise AssertionError(f"the stream ended: {found[-3:]}")


def is_ready(message: dict[str, Any]) -> bool:
    return bool(message["event"] == "ready")


def ended(job_id: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: (
        message["event"] == "job" and message["data"]["id"] == job_id and bool(message["data"]["finished_at"])
    )


def queue(api: Api, project: str | None, key: str = "s1", **fields: Any) -> str:
    """Add a queued job; there is no worker."""
    with api.cloud.database.write() as session:
        job = Job(playbook="server", action="create", project_id=project, **fields)
        job.resources = [JobResource(resource_type="server", resource_id=key)]
        session.add(job)
        session.flush()
        return job.id


def change(api: Api, job_id: str, **fields: Any) -> None:
    with api.cloud.database.write() as session:
        job = session.query(Job).filter_by(id=job_id).one()
        for name, value in fields.items():
            setattr(job, name, value)


def end(api: Api, job_id: str) -> None:
    change(api, job_id, state="successful", finished_at=utcnow())


def start(api: Api, job_id: str) -> str:
    """Give the job a run and begin it; return the run's id."""
    with api.cloud.database.write() as session:
        run = Run(playbook="server", worker="w", hosts=["h1"])
        session.add(run)
        session.flush()
        job = session.query(Job).filter_by(id=job_id).one()
        job.state, job.run_id, job.items = "running", run.id, [["h1", "mine"]]
        return run.id


def task(name: str) -> dict[str, Any]:
    return {"event": "playbook_on_task_start", "event_data": {"task": name}}


def store(api: Api, run_id: str, *batch: dict[str, Any]) -> None:
    with api.cloud.database.write() as session:
        events.store(session, run_id, list(batch))


def test_a_job_is_followed_from_its_beginning_and_resumed_at_any_change(api: Api, demo: Connection) -> None:
    job_id = queue(api, demo.current_project_id)
    run_id = start(api, job_id)
    store(api, run_id, task("Converge networks"), task("Converge servers"))
    end(api, job_id)
    path = f"/jobs/{job_id}/follow"
    with Stream(api, demo, path) as stream:
        story = list(stream)
    assert [message["event"] for message in story] == ["event", "event", "job"]
    assert story[0]["data"]["task"] == "Converge networks"
    assert story[-1]["data"]["progress"] == {"done": 2, "total": 2, "task": "Converge servers"}
    for index, message in enumerate(story, 1):
        with Stream(api, demo, path, message["id"]) as stream:
            assert list(stream) == story[index:]
    for unknown in ("7-1", "'; --", "9" * 18, "9" * 400):
        with Stream(api, demo, path, unknown) as stream:
            assert list(stream) == story


def test_a_project_is_followed(api: Api, demo: Connection, alt: Connection) -> None:
    waiting = queue(api, demo.current_project_id)
    with Stream(api, demo, "/follow") as stream:
        first = stream.until(is_ready)
        assert waiting in {message["data"]["id"] for message in first[:-1]}
        assert all("id" not in message for message in first[:-1])
        queue(api, alt.current_project_id)
        store(api, start(api, waiting), task("Converge"))
        end(api, waiting)
        messages = stream.until(ended(waiting))
    assert {message["data"].get("project_id", demo.current_project_id) for message in messages} == {
        demo.current_project_id
    }
    (event,) = [message for message in messages if message["event"] == "event"]
    assert (event["data"]["task"], event["data"]["jobs"]) == ("Converge", [waiting])
    numbers = [int(message["id"]) for message in messages]
    assert numbers == sorted(set(numbers))


def test_a_resumed_stream_sends_missed_changes_once(api: Api, demo: Connection) -> None:
    with Stream(api, demo, "/follow") as stream:
        last = stream.until(is_ready)[-1]["id"]
    jobs = [queue(api, demo.current_project_id) for _ in range(5)]
    for job_id in jobs:
        end(api, job_id)
    with Stream(api, demo, "/follow", last) as stream:
        messages = stream.until(ended(jobs[-1]))
        end(api, queue(api, demo.current_project_id))
        later = stream.until(lambda message: bool(message["data"]["finished_at"]))
    assert [message["data"]["id"] for message in messages] == jobs
    assert not {message["data"]["id"] for message in later} & set(jobs)


def test_a_resource_is_followed_over_its_jobs(api: Api, demo: Connection, alt: Connection) -> None:
    first = queue(api, demo.current_project_id, "s-of-demo")
    path = "/resources/server/s-of-demo/follow"
    with Stream(api, demo, path) as stream:
        assert [message["data"]["id"] for message in stream.until(is_ready)[:-1]] == [first]
        end(api, first)
        stream.until(ended(first))
        queue(api, demo.current_project_id, "another")
        second = queue(api, demo.current_project_id, "s-of-demo")
        end(api, second)
        assert {message["data"]["id"] for message in stream.until(ended(second))} == {second}
    for connection, other in ((alt, path), (demo, "/resources/network/s-of-demo/follow")):
        with Stream(api, connection, other) as stream:
            assert stream.status == 404


def test_only_administrators_follow_other_projects(
    api: Api, admin: Connection, demo: Connection, alt: Connection
) -> None:
    job_id = queue(api, alt.current_project_id)
    other = f"/follow?project_id={alt.current_project_id}"
    with Stream(api, demo, other) as stream:
        assert stream.status == 403
    for path in (other, "/follow"):
        with Stream(api, admin, path) as stream:
            assert job_id in {message["data"].get("id") for message in stream.until(is_ready)}
    with Stream(api, admin, f"/follow?project={alt.current_project_id}") as stream:
        assert stream.status == 400
    with Stream(api, admin, "/follow?project_id=nobody") as stream:
        assert [message["event"] for message in stream.until(is_ready)] == ["ready"]


def test_a_stream_ends_when_its_token_loses_the_right(
    api: Api, demo: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "ALIVE_SECONDS", 0.3)
    client = api.connect("demo", "demo")
    with Stream(api, client, "/follow") as stream:
        stream.until(is_ready)
        demo.session.delete(f"{api.url}/identity/v3/auth/tokens", headers={"X-Subject-Token": client.auth_token})
        assert list(stream) == []


def test_many_followers_cost_as_much_as_one(api: Api, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    real, reads = api.cloud.database.read, []

    def counted(*arguments: Any) -> Any:
        reads.append(time.monotonic())
        return real(*arguments)

    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(api, demo, "/follow")) for _ in range(25)]
        for stream in streams:
            stream.until(is_ready)
        monkeypatch.setattr(api.cloud.database, "read", counted)
        time.sleep(1)
        job_id = queue(api, demo.current_project_id)
        for stream in streams:
            assert stream.until(lambda message: message["data"].get("id") == job_id)
        looks = (time.monotonic() - reads[0]) / feed.LOOK_SECONDS
    assert len(reads) <= looks + 10  # the scheduler of schedules queries, too


def test_ten_thousand_events_arrive_in_order_also_at_a_client_that_reconnects(
    api: Api, demo: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "RECENT", 500)  # so that a client that reconnects cannot be served from memory
    job_id = queue(api, demo.current_project_id)
    run_id = start(api, job_id)
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}

    def client(number: int) -> None:
        last = ""
        for _ in range(100):
            with Stream(api, demo, f"/jobs/{job_id}/follow", last) as stream:
                for message in stream:
                    last = message["id"]
                    if message["event"] == "event":
                        seen[number].append(message["data"]["counter"])
                        if number == 2 and len(seen[2]) % 3000 == 0:
                            break
                    elif message["data"]["finished_at"]:
                        return

    threads = [threading.Thread(target=client, args=[number]) for number in seen]
    for thread in threads:
        thread.start()
    for _ in range(EVENTS // 250):
        store(api, run_id, *(task(f"Task {number}") for number in range(250)))
    end(api, job_id)
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    for counters in seen.values():
        assert counters == list(range(1, EVENTS + 1))
    with api.cloud.database.write() as session:
        session.query(Event).filter_by(run_id=run_id).delete()

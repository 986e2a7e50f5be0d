"""Schedules: they run at their times, once, with the rights of their owner."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.conftest import PASSWORD, Api
from skywright.db import DatabaseUnavailable, utcnow
from skywright.db.jobs import Job
from skywright.db.operations import Audit
from skywright.db.schedules import Schedule, ScheduleRun
from skywright.jobs.upkeep.retention import sweep
from skywright.services.network.tables import Network
from skywright.services.operations.automation import schedules
from skywright.services.operations.automation.schedules import Scheduler

NETWORK = {"service": "network", "method": "POST", "path": "/v2.0/networks"}
LATER = datetime(utcnow().year + 2, 1, 1)


class Clock:
    """A scheduler whose time the test sets. The API's own scheduler finds nothing due: all times are `LATER`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.scheduler = Scheduler(api.cloud, self.loop)
        self.now = LATER

    def tick(self, **later: int) -> None:
        self.now += timedelta(**later)
        self.scheduler.tick(self.now)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def clock(api: Api) -> Iterator[Clock]:
    clock = Clock(api)
    yield clock
    clock.close()
    with api.cloud.database.write() as session:
        session.query(Schedule).delete()
        session.query(ScheduleRun).delete()


def create(connection: Connection, api: Api, **fields: Any) -> dict[str, Any]:
    wanted = {"name": "nightly", "cron": "0 3 * * *", "request": {**NETWORK, "body": {"network": {"name": "n"}}}}
    answer = connection.session.post(f"{api.url}/v1/schedules", json={"schedule": wanted | fields}, raise_exc=False)
    assert answer.status_code == 201, answer.text
    schedule: dict[str, Any] = answer.json()["schedule"]
    at(api, schedule, LATER)
    return schedule


def at(api: Api, schedule: dict[str, Any], moment: datetime) -> None:
    """Set the next time of the schedule to *moment*."""
    with api.cloud.database.write() as session:
        session.get_one(Schedule, schedule["id"]).next_at = moment


def show(connection: Connection, api: Api, schedule: dict[str, Any]) -> dict[str, Any]:
    answer = connection.session.get(f"{api.url}/v1/schedules/{schedule['id']}")
    found: dict[str, Any] = answer.json()["schedule"]
    return found


def runs(connection: Connection, api: Api, schedule: dict[str, Any], **parameters: Any) -> list[dict[str, Any]]:
    answer = connection.session.get(f"{api.url}/v1/schedules/{schedule['id']}/runs", params=parameters)
    found: list[dict[str, Any]] = answer.json()["runs"]
    return found


def networks(api: Api, name: str) -> int:
    with api.cloud.database.read() as session:
        return session.query(Network).filter_by(name=name).count()


def test_a_request_is_sent_at_its_time_and_recorded(api: Api, clock: Clock, demo: Connection) -> None:
    body = {"network": {"name": "scheduled"}}
    schedule = create(demo, api, request={**NETWORK, "body": body}, timezone="Europe/Berlin")
    assert (schedule["last_run"], schedule["timezone"]) == (None, "Europe/Berlin")
    assert schedule["request"] == {**NETWORK, "body": body}
    clock.tick()
    assert networks(api, "scheduled") == 1
    found = show(demo, api, schedule)
    last = found["last_run"]
    assert (last["state"], last["status"], last["error"]) == ("successful", 201, None)
    assert last["answer"]["network"]["project_id"] == demo.current_project_id
    assert found["next_run_at"].endswith("T02:00:00Z")
    with api.cloud.database.read() as session:
        (record,) = session.query(Audit).filter_by(request_id=last["request_id"])
        assert (record.service, record.method, record.path) == ("network", "POST", "/v2.0/networks")
        assert (record.user_id, record.project_id) == (demo.current_user_id, demo.current_project_id)
        assert (record.address, record.status) == (f"schedule:{schedule['id']}", 201)


def test_headers_of_the_request_are_sent(api: Api, clock: Clock, demo: Connection) -> None:
    image = demo.image.create_image(name="before", disk_format="raw", container_format="bare")
    request = {
        "service": "image",
        "method": "PATCH",
        "path": f"/v2/images/{image.id}",
        "body": [{"op": "replace", "path": "/name", "value": "after"}],
        "headers": {"Content-Type": "application/openstack-images-v2.1-json-patch"},
    }
    create(demo, api, request=request)
    clock.tick()
    assert demo.image.get_image(image.id).name == "after"


def test_missed_times_run_once_and_no_time_runs_twice(api: Api, clock: Clock, demo: Connection) -> None:
    schedule = create(demo, api, request={**NETWORK, "body": {"network": {"name": "once"}}}, cron="* * * * *")
    schedulers = [clock.scheduler, *(Scheduler(api.cloud, clock.loop) for _ in range(3))]
    threads = [threading.Thread(target=scheduler.tick, args=[clock.now]) for scheduler in schedulers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert networks(api, "once") == 1
    clock.tick(seconds=59)
    assert networks(api, "once") == 1
    clock.tick(seconds=1)
    clock.tick(hours=5)
    assert networks(api, "once") == 3
    assert len(runs(demo, api, schedule)) == 3


def test_an_interrupted_run_leaves_nothing_and_is_repeated(
    api: Api, clock: Clock, demo: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = create(demo, api, request={**NETWORK, "body": {"network": {"name": "killed"}}})

    for cause in (KeyboardInterrupt, DatabaseUnavailable):  # nothing more is done, as after a kill

        def ends(*_arguments: Any, cause: type[BaseException] = cause) -> None:
            raise cause

        with monkeypatch.context() as patch:
            patch.setattr("skywright.services.operations.automation.schedules._conclude", ends)
            with pytest.raises(cause):
                clock.tick()
        assert (networks(api, "killed"), runs(demo, api, schedule)) == (0, [])
    clock.tick()
    assert (networks(api, "killed"), len(runs(demo, api, schedule))) == (1, 1)


def test_a_run_ends_with_its_jobs_and_times_until_then_are_skipped(api: Api, clock: Clock, demo: Connection) -> None:
    network = demo.network.create_network(name="busy")
    request = {"service": "network", "method": "DELETE", "path": f"/v2.0/networks/{network.id}"}
    schedule = create(demo, api, request=request, cron="* * * * *")
    with api.cloud.database.write() as session:  # a network on hosts is removed by a job
        session.get_one(Network, network.id)
        job = Job(playbook="network", action="delete", project_id=demo.current_project_id)
        session.add(job)
    clock.tick()
    with api.cloud.database.write() as session:
        session.query(ScheduleRun).one().jobs = [job.id]
    assert show(demo, api, schedule)["last_run"]["state"] == "running"
    clock.tick(minutes=1)
    skipped = show(demo, api, schedule)["last_run"]
    assert (skipped["state"], job.id in skipped["error"]) == ("skipped", True)
    with api.cloud.database.write() as session:
        row = session.query(Job).filter_by(id=job.id).one()
        row.state, row.error, row.finished_at = "failed", "no disk", utcnow()
    first = runs(demo, api, schedule)[-1]
    assert (first["state"], first["error"], first["jobs"]) == ("failed", "no disk", [job.id])
    clock.tick(minutes=1)
    again = show(demo, api, schedule)["last_run"]
    assert (again["state"], again["status"], again["error"][:5]) == ("failed", 404, "404: ")


def test_the_current_rights_of_the_owner_apply(api: Api, clock: Clock, admin: Connection) -> None:
    project = admin.identity.find_project("demo").id
    user = admin.identity.create_user(name="owner", password=PASSWORD, default_project_id=project)
    roles = {name: admin.identity.find_role(name).id for name in ("member", "reader")}
    grant = f"{api.url}/identity/v3/projects/{project}/users/{user.id}/roles"

    def revoke(role: str) -> None:
        assert admin.session.delete(f"{grant}/{roles[role]}").status_code == 204

    for role in roles.values():
        admin.session.put(f"{grant}/{role}")
    with api.connect("owner", "demo") as owner:
        request = {**NETWORK, "body": {"network": {"name": "owned"}}}
        schedule = create(owner, api, request=request, cron="* * * * *")
        shared = {**NETWORK, "body": {"network": {"name": "owned", "shared": True}}}
        forbidden = create(owner, api, request=shared, cron="* * * * *")

    def outcome_of(which: dict[str, Any]) -> str:
        clock.tick(minutes=1)
        last = show(admin, api, which)["last_run"]
        return str(last["error"] or last["state"])

    assert outcome_of(schedule) == "successful"
    assert outcome_of(forbidden).startswith("403: ")
    revoke("member")
    assert outcome_of(schedule).startswith("403: ")
    revoke("reader")
    assert outcome_of(schedule) == (
        "The request was not sent: its owner has no role in the project any more, or a domain is disabled."
    )
    admin.session.put(f"{grant}/{roles['member']}")
    admin.identity.update_user(user, is_enabled=False)
    assert outcome_of(schedule) == "The request was not sent: its owner is disabled."
    admin.identity.delete_user(user)
    assert outcome_of(schedule) == "The request was not sent: its owner does not exist any more."
    admin.identity.update_project(project, is_enabled=False)
    assert outcome_of(schedule) == "The request was not sent: its owner does not exist any more."
    admin.identity.update_project(project, is_enabled=True)
    # Each run sent one request; the schedule with the 403 ran twice more before its owner lost all roles.
    assert networks(api, "owned") == 1 + 1


def test_the_api_checks_when_a_minute_begins_and_soon_after_a_failure(
    api: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[datetime] = []
    third = threading.Event()

    def tick(now: datetime) -> None:
        looks.append(now)
        if len(looks) == 1:
            raise RuntimeError("the database is down")
        if len(looks) == 3:
            third.set()

    monkeypatch.setattr(schedules, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(schedules, "time", SimpleNamespace(time=lambda: 119.95))  # a minute is about to begin
    scheduler = Scheduler(api.cloud, clock.loop)
    monkeypatch.setattr(scheduler, "tick", tick)
    scheduler.start()
    assert third.wait(5)
    scheduler.stop()
    assert looks[2] - looks[1] >= timedelta(seconds=0.05)


def test_limits_of_an_application_credential_apply(api: Api, clock: Clock, demo: Connection) -> None:
    rules = [{"service": "network", "method": "POST", "path": "/v2.0/networks"}]
    rules.append({"service": "operations", "method": "POST", "path": "/v1/schedules"})
    rules[-1]["path"] = "/schedules"
    url = f"{api.url}/identity/v3/users/{demo.current_user_id}/application_credentials"
    body = {"application_credential": {"name": "robot", "access_rules": rules}}
    credential = demo.session.post(url, json=body).json()["application_credential"]
    auth = {"identity": {"methods": ["application_credential"], "application_credential": {}}}
    auth["identity"]["application_credential"] = {"id": credential["id"], "secret": credential["secret"]}
    answer = requests.post(f"{api.url}/identity/v3/auth/tokens", json={"auth": auth}, timeout=5)
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    def schedule(name: str, request: dict[str, Any]) -> dict[str, Any]:
        wanted = {"name": name, "cron": "* * * * *", "request": request}
        made = requests.post(f"{api.url}/v1/schedules", json={"schedule": wanted}, headers=headers, timeout=5)
        found: dict[str, Any] = made.json()["schedule"]
        return found

    allowed = schedule("a", {**NETWORK, "body": {"network": {"name": "robots"}}})
    denied = schedule("b", {**NETWORK, "path": "/v2.0/subnets", "body": {"subnet": {}}})
    clock.tick()
    assert show(demo, api, allowed)["last_run"]["state"] == "successful"
    assert show(demo, api, denied)["last_run"]["status"] == 401
    demo.session.delete(f"{url}/{credential['id']}")
    clock.tick(minutes=1)
    assert "credential of its creation is deleted" in show(demo, api, allowed)["last_run"]["error"]


def test_requests_with_several_transactions_are_sent_after_the_move(api: Api, clock: Clock, admin: Connection) -> None:
    drift = create(admin, api, request={"service": "operations", "method": "POST", "path": "/drift", "body": {}})
    clock.tick()
    limit = utcnow() + timedelta(seconds=20)
    while show(admin, api, drift)["last_run"]["state"] == "running" and utcnow() < limit:
        threading.Event().wait(0.05)
    last = show(admin, api, drift)["last_run"]
    assert (last["state"], last["status"]) == ("successful", 200), last
    assert "state" in last["answer"]


def test_a_request_that_was_lost_with_its_api_process_fails(api: Api, clock: Clock, demo: Connection) -> None:
    schedule = create(demo, api)
    with api.cloud.database.write() as session:
        session.add(ScheduleRun(schedule_id=schedule["id"], due_at=clock.now, started_at=clock.now))
    at(api, schedule, clock.now + timedelta(days=1))
    clock.tick(minutes=59)
    assert show(demo, api, schedule)["last_run"]["state"] == "running"
    clock.tick(minutes=2)
    assert "the API process has ended" in show(demo, api, schedule)["last_run"]["error"]


def test_schedules_are_paused_changed_resumed_and_deleted(api: Api, clock: Clock, demo: Connection) -> None:
    schedule = create(demo, api, request={**NETWORK, "body": {"network": {"name": "paused"}}})
    url = f"{api.url}/v1/schedules/{schedule['id']}"

    def patch(**changes: Any) -> requests.Response:
        answer: requests.Response = demo.session.patch(url, json={"schedule": changes}, raise_exc=False)
        return answer

    assert patch(paused=True).json()["schedule"]["next_run_at"] is None
    clock.tick()
    assert networks(api, "paused") == 0
    assert patch(paused=False, cron="@daily").json()["schedule"]["next_run_at"].endswith("T00:00:00Z")
    moved = patch(paused=False, cron="15 4 * * *", name="later").json()["schedule"]
    assert (moved["next_run_at"][11:], moved["name"]) == ("04:15:00Z", "later")
    for bad in (
        {"cron": "x"},
        {"cron": "0 9 * * * *"},
        {"cron": "@reboot"},
        {"timezone": "Nowhere/X"},
        {"request": NETWORK},
        {"name": ""},
        {"user_id": "me"},
    ):
        assert patch(**bad).status_code == 400, bad
    clock.tick()
    assert networks(api, "paused") == 1
    assert demo.session.delete(url).status_code == 204
    assert demo.session.get(url, raise_exc=False).status_code == 404
    with api.cloud.database.read() as session:
        assert session.query(ScheduleRun).count() == 0


def test_runs_are_paged_and_removed_by_retention(api: Api, clock: Clock, demo: Connection) -> None:
    schedule = create(demo, api, request={**NETWORK, "path": "/v2.0/none"}, cron="* * * * *")
    for _ in range(3):
        clock.tick(minutes=1)
    first = runs(demo, api, schedule, limit=2)
    rest = runs(demo, api, schedule, marker=first[-1]["id"])
    assert [len(first), len(rest)] == [2, 1]
    assert {run["status"] for run in (*first, *rest)} == {404}
    sweep(api.cloud, clock.now + timedelta(days=29))
    assert len(runs(demo, api, schedule)) == 3
    sweep(api.cloud, clock.now + timedelta(days=31))
    assert runs(demo, api, schedule) == []

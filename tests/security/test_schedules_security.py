"""Hostile input to schedules and operator playbooks."""

from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.conftest import Api
from skywright.db.operations import Audit
from skywright.db.schedules import Schedule

REQUEST = {"service": "network", "method": "POST", "path": "/v2.0/networks", "body": {"network": {}}}
NAMES = ("{{ lookup('pipe','touch /tmp/pwned') }}", "$(reboot)", '"><x>', "-rf", "../../x", "ü" * 255)


def post(api: Api, connection: Connection, **schedule: Any) -> requests.Response:
    wanted = {"name": "n", "cron": "0 0 1 1 *", "request": REQUEST} | schedule
    return connection.session.post(f"{api.url}/v1/schedules", json={"schedule": wanted}, raise_exc=False)


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_stored_unchanged(api: Api, demo: Connection, name: str) -> None:
    answer = post(api, demo, name=name)
    assert (answer.status_code, answer.json()["schedule"]["name"]) == (201, name)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 256}, {"name": ""}, {"name": "a\nb"}, {"cron": "* * * * * *" * 50}, {"cron": "@reboot"},
        {"cron": "0 0 1 1 *\n* * * * *"}, {"timezone": "../../etc/passwd"}, {"timezone": "UTC\x00"}, {"user_id": "x"},
        {"project_id": "x"}, {"request": None}, {"playbook": {"name": "x"}}, {"next_at": "2000-01-01"},
        {"request": {**REQUEST, "service": "nothing"}}, {"request": {**REQUEST, "method": "GET"}},
        {"request": {**REQUEST, "path": "v2.0"}}, {"request": {**REQUEST, "path": "/v2.0/\r\nX-Auth-Token: x"}},
        {"request": {**REQUEST, "headers": {"X-Auth-Token": "x"}}}, {"request": {**REQUEST, "path": "/" + "x" * 2048}},
        {"request": {"service": "operations", "method": "POST", "path": "/schedules", "body": {}}},
        {"request": {"service": "operations", "method": "POST", "path": "/webhooks", "body": {}}},
        {"request": {"service": "operations", "method": "POST", "path": "/%73chedules/x", "body": {}}},
    ],
)  # fmt: skip
def test_invalid_schedules_are_refused(api: Api, demo: Connection, fields: dict[str, Any]) -> None:
    answer = post(api, demo, **fields)
    assert answer.status_code == 400, answer.text


def test_schedules_of_others_cannot_be_changed(api: Api, admin: Connection, demo: Connection, alt: Connection) -> None:
    schedule = post(api, admin).json()["schedule"]
    mine = post(api, demo).json()["schedule"]
    assert {row["id"] for row in alt.session.get(f"{api.url}/v1/schedules").json()["schedules"]} == set()
    for connection, identifier in ((alt, mine["id"]), (demo, schedule["id"]), (demo, "none")):
        url = f"{api.url}/v1/schedules/{identifier}"
        for method, path in (("GET", ""), ("GET", "/runs"), ("DELETE", ""), ("PATCH", "")):
            body = {"schedule": {"paused": True}}
            answer = connection.session.request(f"{url}{path}", method, json=body, raise_exc=False)
            assert answer.status_code == 404, (method, path)
    assert requests.get(f"{api.url}/v1/schedules", timeout=5).status_code == 401
    # Other users of the project see it, but cannot change it.
    project, user = demo.current_project_id, alt.current_user_id
    role = admin.identity.find_role("member").id
    admin.session.put(f"{api.url}/identity/v3/projects/{project}/users/{user}/roles/{role}")
    with api.connect("alt", "demo") as colleague:
        url = f"{api.url}/v1/schedules/{mine['id']}"
        assert colleague.session.get(url).status_code == 200
        assert colleague.session.patch(url, json={"schedule": {"paused": True}}, raise_exc=False).status_code == 403
        assert colleague.session.delete(url, raise_exc=False).status_code == 403
    assert demo.session.delete(f"{api.url}/v1/schedules/{mine['id']}").status_code == 204


def test_playbooks_are_for_administrators(api: Api, demo: Connection) -> None:
    for method, path in (("GET", ""), ("GET", "/package_updates"), ("POST", "/package_updates/run")):
        answer = demo.session.request(f"{api.url}/v1/playbooks{path}", method, json={}, raise_exc=False)
        assert answer.status_code == 403, (method, path)
    schedule = {"name": "n", "cron": "0 0 1 1 *", "playbook": {"name": "package_updates"}}
    answer = demo.session.post(f"{api.url}/v1/schedules", json={"schedule": schedule}, raise_exc=False)
    assert answer.status_code == 403


def test_secrets_of_a_request_are_not_readable(api: Api, demo: Connection) -> None:
    body = {"server": {"name": "s", "adminPass": "pass-canary", "user_data": "data-canary"}}
    request = {"service": "compute", "method": "POST", "path": "/v2.1/servers", "body": body}
    answer = post(api, demo, request=request)
    assert answer.json()["schedule"]["request"]["body"]["server"] == {
        "name": "s",
        "adminPass": "***",
        "user_data": "***",
    }
    assert "canary" not in demo.session.get(f"{api.url}/v1/schedules").text
    with api.cloud.database.read() as session:
        row = session.get_one(Schedule, answer.json()["schedule"]["id"])
        assert "canary" not in row.sealed + str(row.shown)
        assert "canary" not in str([record.body for record in session.query(Audit)])


def test_the_number_of_schedules_is_limited(api: Api, alt: Connection) -> None:
    left = 50 - len(alt.session.get(f"{api.url}/v1/schedules").json()["schedules"])
    answers = [post(api, alt).status_code for _ in range(left + 1)]
    assert answers == [201] * left + [403]

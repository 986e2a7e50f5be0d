"""The audit trail: user, change and address, written in the transaction of the change."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from openstack.connection import Connection
from sqlalchemy import delete, select, update

from contract.conftest import PASSWORD, Api, make_api
from skywright.db.jobs import Job
from skywright.db.operations import Audit

NDJSON = {"Accept": "application/x-ndjson"}


def records(connection: Connection, api: Api, **parameters: Any) -> list[dict[str, Any]]:
    """Return the trail that *connection* can see, newest record first."""
    api.app.audit_writer.flush()
    answer = connection.session.get(f"{api.url}/v1/audit", params=parameters)
    found: list[dict[str, Any]] = answer.json()["audit"]
    return found


def records_of(connection: Connection, api: Api, request: str) -> list[dict[str, Any]]:
    """Return the records of an answered request; a request without a change is recorded a moment later."""
    end = time.monotonic() + 5
    while True:
        found = [row for row in records(connection, api) if row["request_id"] == request]
        if found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def test_a_change_is_recorded_with_user_time_address_and_request(api: Api, demo: Connection) -> None:
    answer = demo.session.post(f"{api.url}/networking/v2.0/networks", json={"network": {"name": "audited"}})
    record = records(demo, api, service="network")[0]
    token = demo.session.get(f"{api.url}/identity/v3/auth/tokens", headers={"X-Subject-Token": demo.auth_token})
    assert record["at"]
    assert record | {"at": 0, "id": 0} == {
        "id": 0,
        "at": 0,
        "user_id": demo.current_user_id,
        "user_name": "demo",
        "project_id": demo.current_project_id,
        "token_audit_id": token.json()["token"]["audit_ids"][0],
        "address": "127.0.0.1",
        "request_id": answer.headers["x-openstack-request-id"],
        "service": "network",
        "method": "POST",
        "path": "/v2.0/networks",
        "body": {"network": {"name": "audited"}},
        "status": 201,
        "jobs": [],
    }


def test_the_jobs_that_a_request_queued_are_named(api: Api, admin: Connection) -> None:
    answer = admin.session.put(f"{api.url}/v1/hosts/audited", json={"host": {"groups": ["computes"]}})
    record = records(admin, api, service="operations")[0]
    assert record["status"] == 201
    assert record["jobs"] == [answer.json()["job"]["id"]]
    with api.cloud.database.read() as session:
        assert session.scalar(select(Job.request_id).where(Job.id == record["jobs"][0])) == record["request_id"]


def test_reading_leaves_no_record(api: Api, demo: Connection) -> None:
    before = records(demo, api, service="network"), records(demo, api, service="compute")
    list(demo.network.networks())
    demo.session.get(f"{api.url}/compute/v2.1/servers/nope", raise_exc=False)
    assert (records(demo, api, service="network"), records(demo, api, service="compute")) == before


def test_refused_requests_are_recorded_too(api: Api, demo: Connection, admin: Connection) -> None:
    answers = [
        demo.session.post(f"{api.url}/identity/v3/projects", json={"project": {"name": "mine"}}, raise_exc=False),
        demo.session.delete(f"{api.url}/networking/v2.0/networks/x", authenticated=False, raise_exc=False),
    ]
    by_request = {row["request_id"]: row for row in records(admin, api)}
    forbidden, anonymous = (by_request[answer.headers["x-openstack-request-id"]] for answer in answers)
    assert (forbidden["status"], forbidden["user_name"], forbidden["path"]) == (403, "demo", "/v3/projects")
    assert (anonymous["status"], anonymous["user_name"], anonymous["method"]) == (401, None, "DELETE")


def test_logins_are_recorded_with_the_user_and_without_the_password(api: Api, admin: Connection) -> None:
    domain = {"id": "default"}
    for password, status in ((PASSWORD, 201), ("wrong", 401)):
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": "demo", "domain": domain, "password": password}},
        }
        answer = admin.session.post(
            f"{api.url}/identity/v3/auth/tokens",
            json={"auth": {"identity": identity}},
            authenticated=False,
            raise_exc=False,
        )
        request = answer.headers["x-openstack-request-id"]
        (record,) = records_of(admin, api, request)
        assert record["status"] == status
        assert record["user_name"] == ("demo" if status == 201 else None)
        assert record["body"]["auth"]["identity"]["password"]["user"]["name"] == "demo"
        assert password not in json.dumps(record)


@pytest.mark.parametrize("path", ["/identity/v3/users/{user}/password", "/identity/v3/users/{user}"])
def test_handlers_with_several_transactions_are_recorded_once(api: Api, admin: Connection, path: str) -> None:
    user = admin.identity.create_user(name=f"own-{len(path)}", password="first")
    url = api.url + path.format(user=user.id)
    if path.endswith("password"):
        answer = admin.session.post(url, json={"user": {"original_password": "first", "password": "second"}})
    else:
        answer = admin.session.patch(url, json={"user": {"password": "second", "description": "new"}})
    mine = [row for row in records(admin, api) if row["request_id"] == answer.headers["x-openstack-request-id"]]
    assert [row["status"] for row in mine] == [answer.status_code]
    assert "second" not in json.dumps(mine)
    assert "first" not in json.dumps(mine)


def test_users_see_only_their_project(api: Api, demo: Connection, alt: Connection, admin: Connection) -> None:
    demo.network.create_network(name="mine")
    alt.network.create_network(name="other")
    assert {row["project_id"] for row in records(demo, api)} == {demo.current_project_id}
    assert records(demo, api, project="alt") == []
    assert records(admin, api, project="alt", service="network")[0]["body"] == {"network": {"name": "other"}}
    assert {row["user_name"] for row in records(admin, api, user="alt")} == {"alt"}


def test_pages_times_and_lines(api: Api, admin: Connection) -> None:
    for number in range(3):
        admin.network.create_network(name=f"page-{number}")
    everything = records(admin, api, limit=1000)
    pages = records(admin, api, limit=2)
    pages += records(admin, api, limit=1000, marker=pages[-1]["id"])
    assert pages == everything
    times = sorted(row["at"] for row in everything)
    middle = times[len(times) // 2]
    assert min(row["at"] for row in records(admin, api, since=middle, limit=1000)) == middle
    assert max(row["at"] for row in records(admin, api, until=middle, limit=1000)) < middle
    lines = admin.session.get(f"{api.url}/v1/audit", headers=NDJSON).text.splitlines()
    assert [json.loads(line) for line in lines] == everything
    bad = ["marker=-1", "limit=0", "since=yesterday", "since=2020", "since=9999-12-31T23:59:59-12:00"]
    for query in [*bad, "until=0001-01-01T00:00:00%2B12:00"]:
        assert admin.session.get(f"{api.url}/v1/audit?{query}", raise_exc=False).status_code == 400


def test_image_data_is_one_record(api: Api, admin: Connection) -> None:
    body = {"name": "uploaded", "disk_format": "raw", "container_format": "bare"}
    image = admin.session.post(f"{api.url}/image/v2/images", json=body).json()["id"]
    octets = {"Content-Type": "application/octet-stream"}
    admin.session.put(f"{api.url}/image/v2/images/{image}/file", data=b"\0" * 512, headers=octets)
    first, second = reversed(records(admin, api, service="image")[:2])
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v2/images", 201)
    assert (second["method"], second["path"], second["status"]) == ("PUT", f"/v2/images/{image}/file", 204)


def test_the_command_line_prints_the_trail(api: Api, demo: Connection, tmp_path: Path) -> None:
    network = demo.network.create_network(name="told")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "OS_AUTH_URL": f"{api.url}/identity/v3",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": PASSWORD,
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name("skywright"), "audit", *arguments]
        return subprocess.run(command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True)

    demo.network.delete_network(network.id)
    lines = run("--json", "--since", "5m", "--service", "network").stdout.splitlines()
    newest = json.loads(lines[0])
    assert (newest["method"], newest["path"]) == ("DELETE", f"/v2.0/networks/{network.id}")
    assert "DELETE" in run("--limit", "1", "--service", "network").stdout
    assert "is not a time" in run("--since", "yesterday").stderr


def test_records_cannot_be_changed_or_removed(api: Api, demo: Connection) -> None:
    demo.network.create_network(name="kept")
    for statement in (delete(Audit), update(Audit).values(status=200)):
        with pytest.raises(RuntimeError, match="append-only"), api.cloud.database.write() as session:
            session.execute(statement)
    for spoil in ("change", "delete"):
        with pytest.raises(RuntimeError, match="append-only"), api.cloud.database.write() as session:
            row = session.scalars(select(Audit).limit(1)).one()
            if spoil == "delete":
                session.delete(row)
            else:
                row.status = 999


def test_a_planned_request_is_not_a_change(api: Api, demo: Connection) -> None:
    body = {"service": "network", "method": "POST", "path": "/v2.0/networks", "body": {"network": {"name": "planned"}}}
    demo.session.post(f"{api.url}/v1/plan", json=body)
    newest = records(demo, api)[0]
    assert (newest["path"], newest["service"]) == ("/plan", "operations")
    assert not [row for row in records(demo, api) if row["path"].endswith("/networks") and "planned" in str(row)]


def test_the_last_refused_request_is_recorded_before_the_api_stops(tmp_path: Path) -> None:
    running = make_api(tmp_path)
    api = next(running)
    refused = requests.delete(f"{api.url}/networking/v2.0/networks/x", timeout=10)
    assert next(running, None) is None
    with api.cloud.database.read() as session:
        found = session.scalars(select(Audit.request_id).where(Audit.method == "DELETE")).all()
    assert found == [refused.headers["x-openstack-request-id"]]

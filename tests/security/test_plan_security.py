"""Plans give no additional rights, and send nothing to hosts that the request itself would not send."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import PASSWORD, Api, shared_hash
from contract.plan_helpers import NULL
from skywright.http.admission import AdmissionLimit
from skywright.services import bootstrap

PWNED = Path("/tmp/skywright-plan-pwned")
TEMPLATE = "{{ lookup('pipe', 'touch " + str(PWNED) + "') }}"


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "secret-host", variables=NULL, groups=["computes", "networks"])
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)
    api.cloud.planner.close()


@pytest.fixture(scope="module")
def server(api: Api, fixtures: Fixtures) -> str:
    """A server of demo."""
    with api.connect("demo", "demo") as demo:
        answer = Nova(demo, api.url)("POST", "/servers", fixtures.body("theirs"))
    run_jobs(api.cloud)
    return str(answer.json()["server"]["id"])


def ask(connection: Connection, api: Api, path: str, body: Any = None, **more: Any) -> requests.Response:
    wanted = {"service": "compute", "method": "POST", "path": path, "body": body} | more
    answer: requests.Response = connection.session.post(f"{api.url}/v1/plan", json=wanted, raise_exc=False)
    return answer


def test_requests_without_a_token_are_refused(api: Api, server: str) -> None:
    wanted = {"service": "compute", "method": "DELETE", "path": f"/v2.1/servers/{server}"}
    for headers in ({}, {"X-Auth-Token": "forged"}, {"X-Auth-Token": "gAAAAA" + "x" * 200}):
        assert requests.post(f"{api.url}/v1/plan", json=wanted, headers=headers, timeout=5).status_code == 401


def test_a_token_in_the_planned_request_is_ignored(api: Api, admin: Connection, alt: Connection, server: str) -> None:
    headers = {"X-Auth-Token": admin.auth_token}
    answer = ask(alt, api, f"/v2.1/servers/{server}/action", {"os-stop": None}, headers=headers)
    assert answer.status_code == 400


def test_resources_of_others_are_not_found(api: Api, alt: Connection, fixtures: Fixtures, server: str) -> None:
    action = ask(alt, api, f"/v2.1/servers/{server}/action", {"os-stop": None}).json()
    deletion = ask(alt, api, f"/v2.1/servers/{server}", method="DELETE").json()
    network = ask(alt, api, f"/v2.0/networks/{fixtures.network}", service="network", method="DELETE").json()
    missing = ask(alt, api, "/v2.1/servers/00000000-0000-4000-8000-000000000000", method="DELETE").json()
    for found in (action, deletion, network, missing):
        assert found["request"]["status"] == 404
        assert (found["jobs"], found["hosts"], found["recorded"]) == ([], [], False)
    theirs = str(deletion["request"]["body"]).replace(server, "ID")
    assert theirs == str(missing["request"]["body"]).replace("00000000-0000-4000-8000-000000000000", "ID")
    own = fixtures.body("x", networks=[{"uuid": fixtures.network}])
    assert ask(alt, api, "/v2.1/servers", own).json()["request"]["status"] in (400, 404)


def test_readers_cannot_plan_changes(api: Api, server: str, fixtures: Fixtures) -> None:
    with api.cloud.database.write() as session:
        project = bootstrap.ensure_project(session, "demo")
        user = bootstrap.ensure_user(session, "reader", shared_hash(PASSWORD), project)
        bootstrap.grant(session, user, "reader", "project", project.id)
    with api.connect("reader", "demo") as reader:
        assert ask(reader, api, "/v2.1/servers", fixtures.body("x")).json()["request"]["status"] == 403
        found = ask(reader, api, f"/v2.1/servers/{server}", method="DELETE").json()
        assert found["request"]["status"] == 403


def test_access_rules_of_credentials_apply_to_plans(api: Api, demo: Connection, server: str) -> None:
    user = demo.current_user_id
    url = f"{api.url}/identity/v3/users/{user}/application_credentials"
    for path, status in (("/v2.1/servers", 401), ("/plan", 200)):
        service = "compute" if path.startswith("/v2.1") else "operations"
        rule = {"service": service, "method": "POST", "path": path}
        body = {"application_credential": {"name": f"only {service}", "access_rules": [rule]}}
        made = demo.session.post(url, json=body).json()["application_credential"]
        auth = {"methods": ["application_credential"], "application_credential": {k: made[k] for k in ("id", "secret")}}
        answer = requests.post(f"{api.url}/identity/v3/auth/tokens", json={"auth": {"identity": auth}}, timeout=5)
        headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
        wanted = {"service": "compute", "method": "DELETE", "path": f"/v2.1/servers/{server}"}
        plan = requests.post(f"{api.url}/v1/plan", json=wanted, headers=headers, timeout=30)
        assert plan.status_code == status, (path, plan.text)
        if status == 200:  # the plan is allowed, the planned request is not
            assert plan.json()["request"]["status"] == 401
            assert plan.json()["jobs"] == []


def test_users_see_no_hosts(api: Api, demo: Connection, admin: Connection, fixtures: Fixtures) -> None:
    found = ask(demo, api, "/v2.1/servers", fixtures.body("x"))
    assert found.status_code == 200 and found.json()["changed"] == 1
    for internal in ("secret-host", "diff", "/var/lib", "definition"):
        assert internal not in found.text, internal
    assert "secret-host" in ask(admin, api, "/v2.1/servers", fixtures.body("x")).text


@pytest.mark.parametrize("text", [TEMPLATE, "$(touch /tmp/skywright-plan-pwned)", "'; DROP TABLE server; --", "-rf"])
def test_hostile_texts_are_not_evaluated(api: Api, demo: Connection, fixtures: Fixtures, text: str) -> None:
    PWNED.unlink(missing_ok=True)
    found = ask(demo, api, "/v2.1/servers", fixtures.body(text, metadata={"key": text})).json()
    assert found["complete"], found
    assert not PWNED.exists()
    assert not list((api.cloud.settings.root / "plans").glob("*"))


@pytest.mark.parametrize(
    "more",
    [
        {"path": "/v2.1/servers\r\nX-Auth-Token: x"},
        {"path": "http://elsewhere/"},
        {"path": "/" + "x" * 3000},
        {"path": "/v2.1/servers\x00"},
        {"path": "/v2.1/servers?a=\u00e9"},
        {"service": "compute/../identity"},
        {"service": ["compute"]},
        {"method": "TRACE"},
        {"method": "post"},
        {"headers": {"Host": "elsewhere"}},
        {"headers": {"Content-Type": "a\r\nX-Auth-Token: x"}},
        {"surprise": 1},
    ],
)
def test_invalid_plans_are_refused(api: Api, demo: Connection, more: dict[str, Any]) -> None:
    answer = ask(demo, api, **{"path": "/v2.1/servers", "body": {}} | more)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == 400


@pytest.mark.parametrize("path", ["/../v1/plan", "/%2e%2e/v1/plan", "//v1/hosts", "/v2.1/servers/%00", "/?a=b"])
def test_paths_stay_in_their_service(api: Api, admin: Connection, path: str) -> None:
    answer = ask(admin, api, path, {})
    assert answer.status_code == 200, answer.text
    assert answer.json()["request"]["status"] in (400, 404, 405)


def test_too_many_plans_are_refused_at_once(api: Api, demo: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = AdmissionLimit(0, 0, "Too many.")
    monkeypatch.setattr(import_module("skywright.services.operations.plan"), "ADMISSION", limit)
    answer = ask(demo, api, "/v2.1/servers", {})
    assert answer.status_code == 503 and "Retry-After" in answer.headers

"""Query parameters of the native API: unknown names and values are refused."""

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.list_rows import make_rows
from contract.test_paging import PAGED

LISTS = [path for path in PAGED if path.startswith("/v1")]


@pytest.fixture(scope="module")
def ids(api: Api) -> dict[str, str]:
    return make_rows(api)


@pytest.mark.parametrize("path", LISTS)
def test_unknown_parameters_of_lists(api: Api, admin: Connection, ids: dict[str, str], path: str) -> None:
    path = path.format(webhook_id=ids["webhooks"], schedule_id=ids["schedules"])
    answer = admin.session.get(f"{api.url}{path}?limit=2&stat=failed", raise_exc=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("Unknown query parameters: 'stat'. Known ones: limit, marker")


def test_unknown_parameters_of_deleting_an_overcloud(api: Api, admin: Connection, ids: dict[str, str]) -> None:
    answer = admin.session.delete(f"{api.url}/v1/overclouds/a?forget-only=true", raise_exc=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Unknown query parameters: 'forget-only'. Known ones: forget_only."


@pytest.mark.parametrize("query", ["jobs?state=runing", "jobs?state=queued,", "webhooks/{webhooks}/deliveries?state=x"])
def test_unknown_states(api: Api, admin: Connection, ids: dict[str, str], query: str) -> None:
    answer = admin.session.get(f"{api.url}/v1/{query.format(**ids)}", raise_exc=False)
    assert answer.status_code == 400
    assert "is not one of [" in answer.json()["error"]["message"]


@pytest.mark.parametrize("state", ["queued,running", "successful", "failed", "canceled", "error"])
def test_states_of_jobs(api: Api, admin: Connection, ids: dict[str, str], state: str) -> None:
    jobs = admin.session.get(f"{api.url}/v1/jobs?state={state}").json()["jobs"]
    assert {job["state"] for job in jobs} <= set(state.split(","))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("playbooks/a/run", {"hosts": ["host1", "hots2"]}),
        ("schedules", {"schedule": {"name": "s", "cron": "@daily", "playbook": {"name": "a", "hosts": ["hots2"]}}}),
    ],
)
def test_unknown_hosts(api: Api, admin: Connection, ids: dict[str, str], path: str, body: object) -> None:
    answer = admin.session.post(f"{api.url}/v1/{path}", json=body, raise_exc=False)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "There are no hosts or groups with these names: hots2."


@pytest.mark.parametrize("hosts", [["host1"], ["computes", "host2"], []])
def test_hosts_and_groups(api: Api, admin: Connection, ids: dict[str, str], hosts: list[str]) -> None:
    assert admin.session.post(f"{api.url}/v1/playbooks/a/run", json={"hosts": hosts}).status_code == 202

"""Requests for overclouds that are refused."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.overcloud_helpers import HOSTILE, ask_for, deployed, plan, project, put, worker

__all__ = ["deployed", "project", "worker"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "overclouds"),
        ("GET", "overclouds/ha"),
        ("PUT", "overclouds/ha"),
        ("POST", "overclouds/ha/plan"),
        ("POST", "overclouds/ha/status"),
        ("POST", "overclouds/ha/recover"),
        ("POST", "overclouds/ha/maintenance"),
        ("DELETE", "overclouds/ha"),
    ],
)
def test_users_cannot_see_or_change_overclouds(
    api: Api, demo: Connection, deployed: dict[str, Any], method: str, path: str
) -> None:
    body = {"plan": plan()} if method == "PUT" or path.endswith("plan") else {}
    body = {"host": "one"} if path.endswith("maintenance") else body
    ask_for(api, demo, method, path, body if method != "GET" else None, 403)
    jobs = demo.session.get(f"{api.url}/v1/jobs").json()["jobs"]
    assert [job for job in jobs if job["playbook"].startswith("overcloud")] == []
    assert demo.session.get(f"{api.url}/v1/jobs/{deployed['id']}", raise_exc=False).status_code == 404


DEEP: Any = []
for _ in range(400):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"name": "HA\n"},
        {"name": "../../etc"},
        {"virtual_address": "10.0.0.9"},
        {"virtual_address": HOSTILE},
        {"interface": "-oProxyCommand=x"},
        {"key": "relative"},
        {"key": "/a'b\" -oProxyCommand=x"},
        {"user": "-l"},
        {"roles": {"controllers": ["{{ 1 }}"]}},
        {"roles": {"controllers": []}},
        {"hosts": {}},
        {"hosts": {"localhost": {"address": "10.0.0.11"}}},
        {"hosts": {"a\nb": {"address": "10.0.0.11"}}},
        {"hosts": None},
        {"networks": {"management": "10.0.0.9/24"}},
        {"variables": {"ansible_connection": "local"}},
        {"variables": {"overcloud_files": "/etc"}},
        {"variables": {"db_password": "x"}},
        {"variables": {"a": {"__ansible_unsafe": "x"}}},
        {"variables": {"a b": 1}},
        {"variables": {"deep": DEEP}},
        {"versions": {"mariadb": "11"}},
    ],
)
def test_invalid_plans_are_refused(
    api: Api, admin: Connection, deployed: dict[str, Any], change: dict[str, Any]
) -> None:
    before = ask_for(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["plan"]
    message = put(api, admin, {**plan(), **change}, 400, name="ha")
    assert message.isprintable()
    assert ask_for(api, admin, "GET", "overclouds/ha", None, 200)["overcloud"]["plan"] == before


@pytest.mark.parametrize("body", [None, [], {}, {"plan": []}, {"plan": {}}, {"plan": plan(), "other": 1}])
def test_invalid_bodies_are_refused(api: Api, admin: Connection, body: Any) -> None:
    ask_for(api, admin, "PUT", "overclouds/ha", body, 400)


def test_unknown_overclouds_are_not_found(api: Api, admin: Connection) -> None:
    for method, path in (("GET", ""), ("POST", "/status"), ("POST", "/recover"), ("DELETE", "")):
        ask_for(api, admin, method, f"overclouds/none{path}", {} if method == "POST" else None, 404)
    for name in ("..%2Fetc", "%00", "a" * 300, "%7B%7Bx%7D%7D"):
        assert admin.session.get(f"{api.url}/v1/overclouds/{name}", raise_exc=False).status_code == 404

"""Helpers of the tests of plans: a null host, a user's plans, and a check that nothing changes."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openstack.connection import Connection
from sqlalchemy import select

from contract.compute_helpers import Fixtures, add_hosts, make_fixtures
from contract.conftest import Api
from skywright.cloud import Cloud
from skywright.db.base import Base

NULL = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "hypervisor_libvirt_uri": "test:///default",
}
# Tables that every request writes: the audit trail, and on MariaDB the write lock.
BESIDE = frozenset({"audit", "write_lock"})


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "null-host", variables=NULL, groups=["computes", "networks"])
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)
    api.cloud.planner.close()


class Plans:
    """Plans of one user."""

    def __init__(self, connection: Connection, api: Api) -> None:
        self._session, self._url = connection.session, f"{api.url}/v1/plan"

    def ask(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        wanted = {"service": service, "method": method, "path": path, "body": body} | more
        answer: requests.Response = self._session.post(self._url, json=wanted, raise_exc=False)
        return answer

    def __call__(self, service: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        answer = self.ask(service, method, path, body, **more)
        assert answer.status_code == 200, answer.text
        plan: dict[str, Any] = answer.json()
        return plan


@pytest.fixture
def plan(api: Api, demo: Connection) -> Plans:
    return Plans(demo, api)


@pytest.fixture
def admin_plan(api: Api, admin: Connection) -> Plans:
    return Plans(admin, api)


def dump(cloud: Cloud) -> dict[str, list[Any]]:
    """Return all rows of the database."""
    with cloud.database.read() as session:
        tables = [table for table in Base.metadata.sorted_tables if table.name not in BESIDE]
        return {table.name: sorted(map(repr, session.execute(select(table)))) for table in tables}


def files(cloud: Cloud) -> set[str]:
    """Return the files of the state directory, without the database's."""
    root = cloud.settings.root
    return {str(path) for path in root.rglob("*") if path.is_file() and not path.name.startswith("skywright.db")}


@pytest.fixture
def unchanged(api: Api, admin: Connection, demo: Connection) -> Iterator[None]:
    """Check that the test changes neither the database nor the files."""
    assert admin.auth_token and demo.auth_token
    before, there = dump(api.cloud), files(api.cloud)
    yield
    assert dump(api.cloud) == before
    assert files(api.cloud) == there

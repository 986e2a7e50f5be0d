"""Drift and converge give no additional rights, and one project cannot break them for others."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from contract.drift_helpers import FakeHosts
from skywright.jobs.runs.variables import reserved_key
from skywright.services.compute.tables import Server
from skywright.services.operations.drift import ADMISSION

HOSTILE = ["", "../x", "x" * 256, "\x00", "'; DROP TABLE host; --", "{{ lookup('pipe', 'id') }}", "-rf", "\n"]


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "secret-host")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture(scope="module")
def server(api: Api, fixtures: Fixtures) -> str:
    """A server of demo."""
    with api.connect("demo", "demo") as demo:
        answer = Nova(demo, api.url)("POST", "/servers", fixtures.body("theirs"))
    run_jobs(api.cloud)
    return str(answer.json()["server"]["id"])


@pytest.fixture
def hosts(api: Api, monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    hosts = FakeHosts()
    monkeypatch.setattr(api.cloud, "planner", hosts)
    return hosts


def ask(connection: Connection, api: Api, path: str = "drift", **body: Any) -> requests.Response:
    answer: requests.Response = connection.session.post(f"{api.url}/v1/{path}", json=body, raise_exc=False)
    return answer


@pytest.mark.parametrize("path", ["drift", "converge"])
def test_requests_without_a_token_are_refused(api: Api, path: str) -> None:
    for headers in ({}, {"X-Auth-Token": "forged"}, {"X-Auth-Token": "gAAAAA" + "x" * 200}):
        assert requests.post(f"{api.url}/v1/{path}", json={}, headers=headers, timeout=5).status_code == 401


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(api: Api, admin: Connection, demo: Connection, hosts: FakeHosts, name: str) -> None:
    for field in ("host", "project"):
        assert ask(admin, api, **{field: name}).status_code in (400, 404)
        assert ask(demo, api, **{field: name}).status_code in (400, 403)
    assert hosts.drafts == []


@pytest.mark.parametrize("body", [[], "x", 1, None, {"host": []}, {"project": {}}, {"leftovers": 5}, {"x": 1}])
def test_hostile_bodies(api: Api, admin: Connection, hosts: FakeHosts, body: Any) -> None:
    answer = admin.session.post(f"{api.url}/v1/converge", json=body, raise_exc=False)
    assert answer.status_code == 400, answer.text
    assert hosts.drafts == []


def test_resources_of_others_are_neither_shown_nor_repaired(
    api: Api, demo: Connection, alt: Connection, hosts: FakeHosts, server: str
) -> None:
    hosts.say("secret-host", "libvirt_domain", server, action="create", after={"power": "running"})
    assert ask(demo, api).json()["state"] == "drift"
    for path in ("drift", "converge"):
        answer = ask(alt, api, path)
        assert server not in answer.text and "secret-host" not in answer.text
    assert "secret-host" not in ask(demo, api).text


def test_reserved_names_of_one_user_do_not_affect_others(  # noqa: PLR0917
    api: Api, admin: Connection, demo: Connection, hosts: FakeHosts, fixtures: Fixtures, server: str
) -> None:
    """Ansible refuses the arguments of a whole task if one item has such a key."""
    demo.compute.set_server_metadata(server, __ansible_unsafe="x")
    with api.cloud.database.write() as session:
        session.get_one(Server, server).drive = None  # like servers from before config drives were stored
    report = ask(admin, api).json()
    assert [one["id"] for one in report["left_out"]] == [server]
    assert "reserved" in report["left_out"][0]["reason"]
    assert {draft.playbook for draft in hosts.drafts} == {"host", "items"}
    assert all(reserved_key(draft.items) is None for draft in hosts.drafts)
    demo.compute.delete_server_metadata(server, ["__ansible_unsafe"])


def test_the_number_of_waiting_requests_is_limited(api: Api, admin: Connection, hosts: FakeHosts, server: str) -> None:
    asked, go_on = Event(), Event()

    def slow() -> None:
        asked.set()
        assert go_on.wait(20)

    hosts.meanwhile = slow
    with ThreadPoolExecutor(ADMISSION.waiting + 4) as pool:
        first = pool.submit(ask, admin, api)
        assert asked.wait(20)
        others = [pool.submit(ask, admin, api) for _ in range(ADMISSION.waiting + 3)]
        done, _ = wait(others, timeout=20, return_when=FIRST_COMPLETED)
        go_on.set()
        codes = [one.result().status_code for one in (first, *others)]
    assert {one.result().status_code for one in done} == {503}
    assert codes.count(200) >= ADMISSION.waiting + 1 and codes.count(503) >= 1

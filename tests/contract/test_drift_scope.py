"""Drift of one host and of one project, and who may see it."""

import requests
from openstack.connection import Connection

from contract.conftest import Api
from contract.drift_helpers import (
    Ask,
    FakeHosts,
    Made,
    ask,
    ask_demo,
    asking,
    fixtures,
    hosts,
    jobs_of,
    killed,
    leave,
    server,
    texts,
    works,
)

__all__ = ["ask", "ask_demo", "fixtures", "hosts", "server"]


def test_one_host(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    other = ({"h1", "h2"} - {server.host}).pop()
    report = ask(host=other)
    assert (report["checked"]["hosts"], report["checked"]["servers"]) == (1, 0)
    assert ask(host=server.host)["checked"]["servers"] == 1
    ask(host="nowhere", expected=404)
    ask(host=5, expected=400)
    ask(nothing=1, expected=400)


def test_one_project(ask: Ask, hosts: FakeHosts, server: Made) -> None:
    leave(hosts, server.host, server.network)
    killed(hosts, server, "crashed")
    report = ask(project="demo")
    assert report["checked"]["servers"] == 1 and report["leftovers"] == []
    assert set(texts(report)) == {server.id}
    assert ask(project="alt")["checked"]["servers"] == 0
    ask(project="nobody", expected=404)


def test_users_see_and_repair_only_their_own_resources(
    api: Api, ask_demo: Ask, hosts: FakeHosts, server: Made, alt: Connection
) -> None:
    leave(hosts, server.host, server.network)
    killed(hosts, server, "crashed")
    report = ask_demo()
    [one] = report["resources"]
    assert one["id"] == server.id
    assert set(one["differences"][0]) == {"module", "action", "state", "text"}
    assert report["leftovers"] == []
    hosts.silent = {"h1", "h2"}
    report = ask_demo(project="demo")
    assert report["not_checked"][0]["host"] is None
    assert "h1" not in str(report) and "h2" not in str(report)
    hosts.silent = set()
    other = asking(alt, api)
    assert other()["checked"]["servers"] == 0
    assert other("converge")["jobs"] == []
    for refused in ({"host": server.host}, {"project": "alt"}, {"project": "nobody"}, {"host": "nowhere"}):
        for path in ("drift", "converge"):
            ask_demo(path, expected=403, **refused)
    assert jobs_of(ask_demo("converge")) == {("server", "converge", server.id)}
    works(api)


def test_requests_that_policy_refuses(api: Api, admin: Connection) -> None:
    assert requests.post(f"{api.url}/v1/drift", json={}, timeout=5).status_code == 401
    role = admin.identity.find_role("reader")
    project = admin.identity.find_project("demo")
    user = admin.identity.create_user(name="looker", password="secret-of-the-tests")
    admin.identity.assign_project_role_to_user(project, user, role)
    with api.connect("looker", "demo") as reader:
        asking(reader, api)("converge", expected=403)

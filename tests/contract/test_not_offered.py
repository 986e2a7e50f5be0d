"""Nova's resources that this cloud does not have: empty lists, 404 for any id, and a clear 400 on create."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures
from contract.conftest import Api

EMPTY = {
    "os-aggregates": {"aggregates": []},
    "os-server-groups": {"server_groups": []},
    "os-migrations": {"migrations": []},
    "servers/{}/migrations": {"migrations": []},
    "servers/{}/os-volume_attachments": {"volumeAttachments": []},
    "servers/{}/os-security-groups": {"security_groups": []},
    "servers/{}/os-server-password": {"password": ""},
    "servers/{}/topology": {"nodes": [], "pagesize_kb": None},
}
REFUSED = {
    "POST os-aggregates": "no host aggregates yet",
    "POST os-server-groups": "no server groups yet",
    "POST servers/{}/os-volume_attachments": "no volumes yet",
    "POST servers/{}/os-interface": "cannot attach interfaces",
    "DELETE servers/{}/os-interface/x": "cannot detach interfaces",
    "GET servers/{}/diagnostics": "no diagnostics of servers yet",
}
MISSING = (
    "GET os-aggregates/1",
    "PUT os-aggregates/1",
    "DELETE os-aggregates/1",
    "POST os-aggregates/1/action",
    "GET os-server-groups/x",
    "DELETE os-server-groups/x",
    "GET servers/{}/os-volume_attachments/x",
    "PUT servers/{}/os-volume_attachments/x",
    "DELETE servers/{}/os-volume_attachments/x",
    "GET servers/{}/migrations/1",
    "DELETE servers/{}/migrations/1",
)
FOR_ADMINISTRATORS = ("os-aggregates", "os-migrations", "/migrations", "/diagnostics")


@pytest.fixture(scope="module")
def server(api: Api) -> str:
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        fixtures: Fixtures = make_fixtures(api, admin, demo)
        created: str = Nova(demo, api.url)("POST", "/servers", fixtures.body()).json()["server"]["id"]
    return created


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


def ask(nova: Nova, request: str, server: str) -> Any:
    method, path = request.split()
    return nova(method, f"/{path.format(server)}", None if method in ("GET", "DELETE") else {"anything": {}})


@pytest.mark.parametrize("path", EMPTY)
def test_lists_are_empty(nova: Nova, nova_admin: Nova, server: str, path: str) -> None:
    assert ask(nova_admin, f"GET {path}", server).json() == EMPTY[path]
    expected = 403 if path.endswith(FOR_ADMINISTRATORS) else 200
    assert ask(nova, f"GET {path}", server).status_code == expected


@pytest.mark.parametrize("request_line", REFUSED)
def test_creating_is_refused_with_the_reason(nova_admin: Nova, server: str, request_line: str) -> None:
    refused = ask(nova_admin, request_line, server)
    assert refused.status_code == 400
    assert REFUSED[request_line] in refused.json()["badRequest"]["message"]


@pytest.mark.parametrize("request_line", MISSING)
def test_every_id_is_not_found(nova: Nova, nova_admin: Nova, server: str, request_line: str) -> None:
    missing = ask(nova_admin, request_line, server)
    assert missing.status_code == 404
    assert request_line.rsplit("/", maxsplit=1)[-1].removesuffix("action") in missing.json()["itemNotFound"]["message"]
    assert ask(nova, request_line, server).status_code in (403, 404)


OF_SERVERS = [path for path in EMPTY if path.startswith("servers") and not path.endswith(FOR_ADMINISTRATORS)]


@pytest.mark.parametrize("path", OF_SERVERS)
def test_lists_of_other_projects_servers_are_not_found(api: Api, alt: Connection, server: str, path: str) -> None:
    assert ask(Nova(alt, api.url), f"GET {path}", server).status_code == 404


def test_microversions_that_introduced_the_lists(nova_admin: Nova, server: str) -> None:
    for path, version in (("migrations", 23), ("topology", 78)):
        assert nova_admin("GET", f"/servers/{server}/{path}", version=f"2.{version}").status_code == 200
        assert nova_admin("GET", f"/servers/{server}/{path}", version=f"2.{version - 1}").status_code == 404


@pytest.mark.parametrize(
    ("query", "version", "status"),
    [
        ("os-server-groups?limit=x", "2.1", 400),
        ("os-server-groups?unknown=1", "2.74", 200),
        ("os-server-groups?unknown=1", "2.75", 400),
        ("os-server-groups?all_projects=1&limit=1&offset=0", "2.96", 200),
        ("servers/{}/os-volume_attachments?offset=-1", "2.1", 400),
        ("servers/{}/os-volume_attachments?unknown=1", "2.75", 400),
        ("os-migrations?limit=x", "2.58", 200),
        ("os-migrations?limit=x", "2.59", 400),
        ("os-migrations?marker=x", "2.59", 400),
        ("os-migrations?changes-since=x", "2.59", 400),
        ("os-migrations?unknown=1", "2.58", 200),
        ("os-migrations?changes-before=2026-01-01T00:00:00Z", "2.65", 400),
        ("os-migrations?changes-before=2026-01-01T00:00:00Z", "2.66", 200),
        ("os-migrations?user_id=x", "2.79", 400),
        ("os-migrations?user_id=x&host=x&status=done&limit=1", "2.80", 200),
    ],
)
def test_parameters_of_empty_lists(nova_admin: Nova, server: str, query: str, version: str, status: int) -> None:
    """Nova's query schemas."""
    assert nova_admin("GET", f"/{query.format(server)}", version=version).status_code == status


def test_a_servers_password_is_empty_and_can_be_cleared(nova: Nova, server: str) -> None:
    assert nova("DELETE", f"/servers/{server}/os-server-password").status_code == 204


@pytest.mark.usefixtures("server")
def test_the_usage_audit_log_is_empty(nova: Nova, nova_admin: Nova) -> None:
    path = "/os-instance_usage_audit_log"
    expected = {
        "period_beginning": "2026-01-01 00:00:00",
        "period_ending": "2026-02-01 00:00:00",
        "num_hosts": 1,
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": 1,
        "hosts_not_run": ["host1"],
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": "0 of 1 hosts done. 0 errors.",
        "log": {},
    }
    for moment in ("2026-02-28 12:00:00", "2026-02-01%2000:00:00.5"):
        shown = nova_admin("GET", f"{path}/{moment}").json()
        assert shown == {"instance_usage_audit_log": expected}
    assert nova_admin("GET", path).json()["instance_usage_audit_logs"].keys() == expected.keys()
    assert nova_admin("GET", f"{path}/yesterday").status_code == 400
    assert nova("GET", path).status_code == 403

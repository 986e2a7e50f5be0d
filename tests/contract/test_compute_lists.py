"""Lists of servers: filters, order, pages; and subresources of servers."""

from typing import Any

import pytest
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api

NAMES = ("web-1", "web-2", "db.1")


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1", "host2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


@pytest.fixture(scope="module")
def servers(api: Api, fixtures: Fixtures) -> dict[str, str]:
    """{name: id} of three servers; the last is stopped."""
    with api.connect("demo", "demo") as demo:
        nova, made = Nova(demo, api.url), {}
        for name in NAMES:
            more = {"tags": ["a", name[:3]], "metadata": {"n": name}, "description": f"The {name}"}
            made[name] = nova("POST", "/servers", fixtures.body(name, **more)).json()["server"]["id"]
        run_jobs(api.cloud)
        nova("POST", f"/servers/{made['db.1']}/action", {"os-stop": None})
        run_jobs(api.cloud)
    return made


def names(nova: Nova, query: str, **options: str) -> list[str]:
    answer = nova("GET", f"/servers?{query}", **options)
    assert answer.status_code == 200, answer.text
    return [server["name"] for server in answer.json()["servers"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["db.1", "web-2", "web-1"]),
        ("name=web", ["web-2", "web-1"]),
        ("name=^web-1$", ["web-1"]),
        ("name=db.1", ["db.1"]),
        ("name=1$", ["db.1", "web-1"]),
        ("status=SHUTOFF", ["db.1"]),
        ("status=active&status=shutoff&sort_key=display_name&sort_dir=asc", ["db.1", "web-1", "web-2"]),
        ("status=PAUSED", []),
        ("sort_key=display_name&sort_dir=asc", ["db.1", "web-1", "web-2"]),
        ("tags=a,web", ["web-2", "web-1"]),
        ("tags-any=db.,nothing", ["db.1"]),
        ("not-tags=a,web", ["db.1"]),
        ("not-tags-any=a", []),
        ("tags=we", []),
        ("power_state=4", ["db.1"]),
        ("vm_state=stopped", ["db.1"]),
        ("locked=false&limit=1", ["db.1"]),
        ("changes-since=2020-01-01T00:00:00Z&deleted=False", ["db.1", "web-2", "web-1"]),
        ("changes-before=2020-01-01T00:00:00Z", []),
        ("ip=10.9.", ["db.1", "web-2", "web-1"]),
        ("ip=^192", []),
        ("image=nothing", []),
    ],
)
def test_filters(nova: Nova, servers: dict[str, str], query: str, found: list[str]) -> None:
    assert names(nova, query) == found


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense",
        "limit=x",
        "limit=-1",
        "marker=nothing",
        "sort_key=nonsense",
        "sort_dir=sideways",
        "changes-since=yesterday",
        "name=(",
        "name=",
        "unknown=1",
        "locked=perhaps",
    ],
)
def test_bad_queries(nova: Nova, servers: dict[str, str], query: str) -> None:
    assert nova("GET", f"/servers?{query}").status_code == 400


def test_expensive_expressions_are_cheap(nova: Nova, servers: dict[str, str]) -> None:
    assert names(nova, "name=(a%2B)%2B%24(.*)*(x%2Bx%2B)%2By") == []


@pytest.mark.parametrize(
    "order", ["", "&sort_key=availability_zone&sort_dir=asc", "&sort_key=launched_at", "&sort_key=task_state"]
)
def test_pages(nova: Nova, servers: dict[str, str], order: str) -> None:
    found, path = [], f"/servers/detail?limit=1{order}"
    while path:
        page = nova("GET", path).json()
        assert len(page["servers"]) == 1
        found += [server["name"] for server in page["servers"]]
        path = page["servers_links"][0]["href"] if "servers_links" in page else ""
    assert sorted(found) == sorted(NAMES) and found == names(nova, order.lstrip("&"))


def test_other_projects(api: Api, alt: Connection, nova_admin: Nova, servers: dict[str, str]) -> None:
    other = Nova(alt, api.url)
    assert names(other, "") == []
    assert other("GET", "/servers?all_tenants=1").status_code == 403
    assert other("GET", f"/servers/{servers['web-1']}").status_code == 404
    for method, path in (("DELETE", ""), ("PUT", "/metadata/a"), ("GET", "/os-interface"), ("POST", "/action")):
        body = {"meta": {"a": "b"}} if method == "PUT" else {"os-stop": None} if method == "POST" else None
        assert other(method, f"/servers/{servers['web-1']}{path}", body).status_code == 404
    assert names(nova_admin, "") == []
    assert set(NAMES) <= set(names(nova_admin, "all_tenants=1"))
    hosts = names(nova_admin, "all_tenants=True&host=host1") + names(nova_admin, "all_tenants=True&host=host2")
    assert sorted(hosts) == sorted(NAMES)


def test_shapes_by_microversion(nova: Nova, nova_admin: Nova, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['web-1']}"
    first = nova("GET", path, version="2.1").json()["server"]
    assert set(first["flavor"]) == {"id", "links"}
    assert not {"locked", "description", "tags", "OS-EXT-SRV-ATTR:host"} & set(first)
    last = nova("GET", path).json()["server"]
    assert last["flavor"]["vcpus"] == 1 and last["tags"] == ["a", "web"] and last["locked"] is False
    assert last["OS-EXT-SRV-ATTR:hostname"] == "web-1" and last["pinned_availability_zone"] is None
    assert nova_admin("GET", path).json()["server"]["OS-EXT-SRV-ATTR:host"] in ("host1", "host2")
    assert nova_admin("GET", path).json()["server"]["host_status"] == "UP"


def test_changes_of_networks_and_hosts_show_in_lists(
    demo: Connection, nova: Nova, nova_admin: Nova, servers: dict[str, str]
) -> None:
    """They change no column of the server."""

    def shown(asking: Nova, query: str = "") -> dict[str, Any]:
        [server] = asking("GET", f"/servers/detail?name=^web-1${query}").json()["servers"]
        assert server["id"] == servers["web-1"]
        return server  # type: ignore[no-any-return]

    assert list(shown(nova)["addresses"]) == ["net"] and "host_status" not in shown(nova)
    network = demo.network.find_network("net", ignore_missing=False)
    demo.network.update_network(network, name="renamed")
    assert list(shown(nova)["addresses"]) == ["renamed"]
    demo.network.update_network(network, name="net")

    before = shown(nova_admin, "&all_tenants=1")
    service = next(
        service["id"]
        for service in nova_admin("GET", "/os-services").json()["services"]
        if service["host"] == before["OS-EXT-SRV-ATTR:host"]
    )
    nova_admin("PUT", f"/os-services/{service}", {"status": "disabled"})
    after = shown(nova_admin, "&all_tenants=1")
    nova_admin("PUT", f"/os-services/{service}", {"status": "enabled"})
    assert (before["host_status"], after["host_status"]) == ("UP", "MAINTENANCE")
    assert shown(nova_admin, "&all_tenants=1") == before


def test_metadata_and_tags(nova: Nova, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['web-1']}"
    assert nova("POST", f"{path}/metadata", {"metadata": {"x": "{{ 7 * 7 }}"}}).json()["metadata"]["x"] == "{{ 7 * 7 }}"
    assert nova("PUT", f"{path}/metadata/y", {"meta": {"y": "2"}}).json() == {"meta": {"y": "2"}}
    assert nova("PUT", f"{path}/metadata/y", {"meta": {"z": "2"}}).status_code == 400
    assert nova("DELETE", f"{path}/metadata/y").status_code == 204
    assert nova("GET", f"{path}/metadata/y").status_code == 404
    assert nova("PUT", f"{path}/metadata", {"metadata": {"n": "web-1"}}).json() == {"metadata": {"n": "web-1"}}
    for bad in ({"$(reboot)": "1"}, {"k": "v" * 256}, {"k": 1}, {"": "1"}):
        assert nova("POST", f"{path}/metadata", {"metadata": bad}).status_code == 400, bad
    assert nova("PUT", f"{path}/tags/new").status_code == 201
    assert nova("PUT", f"{path}/tags/new").status_code == 204
    assert nova("GET", f"{path}/tags/new").status_code == 204
    assert nova("DELETE", f"{path}/tags/new").status_code == 204
    assert nova("GET", f"{path}/tags/new").status_code == 404
    assert nova("PUT", f"{path}/tags", {"tags": ["b" * 61]}).status_code == 400
    assert nova("PUT", f"{path}/tags", {"tags": ["a", "web"]}).json() == {"tags": ["a", "web"]}
    assert nova("GET", f"{path}/tags", version="2.25").status_code == 404


def test_metadata_and_tags_change_during_tasks(api: Api, nova: Nova, servers: dict[str, str]) -> None:
    """Nova's conditions are about the server's state, not about its task."""
    path = f"/servers/{servers['web-1']}"
    assert nova("POST", f"{path}/action", {"os-stop": None}).status_code == 202
    for method, part, body in (
        ("POST", "metadata", {"metadata": {"during": "1"}}),
        ("PUT", "metadata/during", {"meta": {"during": "2"}}),
        ("DELETE", "metadata/during", None),
        ("PUT", "tags/during", None),
        ("DELETE", "tags/during", None),
    ):
        assert nova(method, f"{path}/{part}", body).status_code in (200, 201, 204), (method, part)
    assert nova("GET", path).json()["server"]["OS-EXT-STS:task_state"] == "powering-off"
    run_jobs(api.cloud)
    assert nova("POST", f"{path}/action", {"os-start": None}).status_code == 202
    run_jobs(api.cloud)


def test_addresses_and_interfaces(nova: Nova, fixtures: Fixtures, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['web-1']}"
    addresses = nova("GET", f"{path}/ips").json()["addresses"]
    assert nova("GET", f"{path}/ips/net").json() == addresses and addresses["net"][0]["version"] == 4
    assert nova("GET", f"{path}/ips/nothing").status_code == 404
    [interface] = nova("GET", f"{path}/os-interface").json()["interfaceAttachments"]
    assert interface["net_id"] == fixtures.network and interface["port_state"] == "ACTIVE"
    assert nova("GET", f"{path}/os-interface/{interface['port_id']}").status_code == 200


def test_locks(nova: Nova, nova_admin: Nova, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['web-2']}"
    assert nova("POST", f"{path}/action", {"lock": {"locked_reason": "mine"}}).status_code == 202
    shown = nova("GET", path).json()["server"]
    assert shown["locked"] is True and shown["locked_reason"] == "mine"
    answer = nova("POST", f"{path}/action", {"os-stop": None})
    assert answer.status_code == 409 and "is locked" in answer.text
    assert nova("DELETE", path).status_code == 409
    assert nova("POST", f"{path}/action", {"unlock": None}).status_code == 202
    assert nova_admin("POST", f"{path}/action", {"lock": None}).status_code == 202
    assert nova("POST", f"{path}/action", {"unlock": None}).status_code == 403
    assert nova_admin("POST", f"{path}/action", {"unlock": None}).status_code == 202


def test_reset_state(nova: Nova, nova_admin: Nova, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['web-2']}"
    assert nova("POST", f"{path}/action", {"os-resetState": {"state": "error"}}).status_code == 403
    for state in ("error", "active"):
        assert nova_admin("POST", f"{path}/action", {"os-resetState": {"state": state}}).status_code == 202
        assert nova("GET", path).json()["server"]["status"] == state.upper()
    assert nova_admin("POST", f"{path}/action", {"os-resetState": {"state": "nonsense"}}).status_code == 400


def test_update(nova: Nova, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['web-2']}"
    changed = nova("PUT", path, {"server": {"description": None, "accessIPv6": "::BABE"}}).json()["server"]
    assert changed["description"] is None and changed["accessIPv6"] == "::babe" and "key_name" in changed
    old = nova("PUT", path, {"server": {"name": "web-2"}}, version="2.1").json()["server"]
    assert "key_name" not in old and "OS-EXT-STS:vm_state" not in old
    for bad in ({"name": ""}, {"name": "a" * 256}, {"name": "a\x00b"}, {"accessIPv4": "x"}, {"nonsense": 1}):
        assert nova("PUT", path, {"server": bad}).status_code == 400, bad


def test_instance_actions(nova: Nova, nova_admin: Nova, servers: dict[str, str]) -> None:
    path = f"/servers/{servers['db.1']}/os-instance-actions"
    actions = nova("GET", path).json()["instanceActions"]
    assert [action["action"] for action in actions] == ["stop", "create"]
    shown = nova("GET", f"{path}/{actions[0]['request_id']}").json()["instanceAction"]
    [event] = shown["events"]
    assert event["event"] == "compute_stop_instance" and event["result"] == "Success" and "host" not in event
    assert "host" in nova_admin("GET", f"{path}/{actions[0]['request_id']}").json()["instanceAction"]["events"][0]
    page = nova("GET", f"{path}?limit=1").json()
    assert len(page["instanceActions"]) == 1 and page["links"]
    assert nova("GET", f"{path}/req-nothing").status_code == 404


def test_usage(nova: Nova, nova_admin: Nova, demo: Connection, servers: dict[str, str]) -> None:
    usage = nova("GET", f"/os-simple-tenant-usage/{demo.current_project_id}").json()["tenant_usage"]
    assert {server["name"] for server in usage["server_usages"]} >= set(NAMES)
    assert nova("GET", "/os-simple-tenant-usage").status_code == 403
    assert nova_admin("GET", "/os-simple-tenant-usage?detailed=1").json()["tenant_usages"]


def test_paths_of_resources_do_not_end_with_a_slash(api: Api, admin: Connection) -> None:
    """Routes in Nova has no such paths; a list with an empty id after it is not the list."""
    for path in ("os-simple-tenant-usage/", "servers/", "flavors/", "servers/detail/"):
        assert admin.session.get(f"{api.url}/compute/v2.1/{path}", raise_exc=False).status_code == 404
    for path in ("", "/", "/v2.1", "/v2.1/"):
        assert admin.session.get(f"{api.url}/compute{path}", raise_exc=False).status_code in (200, 300)
    assert admin.session.get(f"{api.url}/networking/v2.0/networks/").status_code == 200

"""Hostile input to the compute service: it works as plain text or is refused."""

import json
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api

HOSTILE = [
    "{{ lookup('pipe','touch /tmp/pwned') }}",
    "{% for x in range(9) %}{{ x }}{% endfor %}",
    "$(reboot)",
    "`reboot`; reboot & reboot | reboot",
    "\"><x>&amp;'",
    "-rf",
    "../../../etc/passwd",
    "!unsafe x",
    "'; DROP TABLE server; --",
    "%s%n{0}",
    "\u202egpj.exe",
    "\u00e9\u4e16\U0001f600" * 85,
]
NEVER = ["a\nb", "a\x00b", "\x1b[31m", "\ud800", " ", "a" * 256]


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Fixtures:
    add_hosts(api.cloud, "host1")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        return make_fixtures(api, admin, demo)


@pytest.fixture
def nova(api: Api, demo: Connection) -> Nova:
    return Nova(demo, api.url)


@pytest.fixture
def nova_admin(api: Api, admin: Connection) -> Nova:
    return Nova(admin, api.url)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_stored_unchanged(
    api: Api, nova: Nova, nova_admin: Nova, fixtures: Fixtures, text: str
) -> None:
    visible = "\u202e" not in text  # a control character
    more = {"metadata": {"key": text[:255]}, "description": text} if visible else {}
    answer = nova("POST", "/servers", fixtures.body(text, **more))
    assert answer.status_code == (202 if visible else 400), answer.text
    flavor = nova_admin("POST", "/flavors", {"flavor": {"name": text, "ram": 1, "vcpus": 1, "disk": 1}})
    assert flavor.status_code in (200, 400)
    assert nova("POST", "/os-keypairs", {"keypair": {"name": text, "public_key": "ssh-rsa x"}}).status_code == 400
    if not visible:
        return
    path = f"/servers/{answer.json()['server']['id']}"
    shown = nova("GET", path).json()["server"]
    assert shown["name"] == text and shown["metadata"] == {"key": text[:255]} and shown["description"] == text
    assert all(character in "abcdefghijklmnopqrstuvwxyz0123456789-" for character in shown["OS-EXT-SRV-ATTR:hostname"])
    [work] = run_jobs(api.cloud)
    [item] = [item for items in work.items.values() for item in items.get("servers", [])]
    assert item["name"] == text and item["config_drive"]["meta_data"]["meta"] == {"key": text[:255]}
    assert text not in json.dumps([item["id"], item["ports"]])
    assert nova("DELETE", path).status_code == 204
    run_jobs(api.cloud)


@pytest.mark.parametrize("text", NEVER)
def test_texts_that_are_refused(nova: Nova, nova_admin: Nova, fixtures: Fixtures, text: str) -> None:
    assert nova("POST", "/servers", fixtures.body(text)).status_code == 400
    flavor = {"name": text, "ram": 1, "vcpus": 1, "disk": 1}
    assert nova_admin("POST", "/flavors", {"flavor": flavor}).status_code == 400
    for field in ("key_name", "availability_zone", "imageRef"):
        assert nova("POST", "/servers", fixtures.body(**{field: text})).status_code == 400, field


BODIES: list[Any] = [None, [], "x", 1, {}, {"server": None}, {"server": []}, {"server": {}}, {"server": {"name": {}}}]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", ["/servers", "/os-keypairs", "/servers/x/action", "/servers/x/metadata"])
def test_invalid_bodies(nova: Nova, path: str, body: Any) -> None:
    assert nova("POST", path, body).status_code in (400, 404)


@pytest.mark.parametrize(
    "change",
    [
        {"min_count": 10**30},
        {"min_count": True},
        {"min_count": 1.5},
        {"flavorRef": [[[]]]},
        {"flavorRef": 10**400},
        {"imageRef": {"a": 1}},
        {"networks": {"uuid": "x"}},
        {"networks": [None]},
        {"metadata": {"a": {"b": "c"}}},
        {"user_data": "\ud800"},
        {"metadata": {"a": "\ud800"}},
        {"metadata": {"a": "b\u0000"}},
        {"tags": ["\u0000"]},
        {"accessIPv4": "1.1.1.1\n"},
        {"adminPass": "x\u0000"},
        {"hostname": "a\n"},
    ],
)
def test_invalid_values(nova: Nova, fixtures: Fixtures, change: dict[str, Any]) -> None:
    assert nova("POST", "/servers", fixtures.body(**change)).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/servers?limit=99999999999999999999",
        "/servers?marker=%00",
        "/servers?name=%00",
        "/servers?name=%5B",
        "/servers?changes-since=9999-12-31T23:59:59-23:59",
        "/servers?tags=%27%22,%25",
        "/servers?ip=(((((((((((",
        "/servers?sort_key=id;drop",
        "/servers?power_state=%F0%9F%98%80",
        "/servers?limit=%D9%A1",
        "/servers/..%2f..%2fetc",
        "/servers/%00",
        "/servers/%ff%fe",
        "/flavors/%00",
        "/flavors?minDisk=%C2%B2",
        "/flavors?sort_key=__class__",
        "/os-keypairs/%27%20OR%201=1",
        "/os-simple-tenant-usage/x?start=0001-01-01T00:00:00%2B23:59",
    ],
)
def test_invalid_queries(nova: Nova, nova_admin: Nova, path: str) -> None:
    for client in (nova, nova_admin):
        assert client("GET", path).status_code < 500


def test_resources_of_others_are_not_found(api: Api, alt: Connection, nova: Nova, fixtures: Fixtures) -> None:
    server = nova("POST", "/servers", fixtures.body("secret")).json()["server"]["id"]
    other = Nova(alt, api.url)
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"server": {"name": "mine"}}),
        ("DELETE", "", None),
        ("GET", "/metadata", None),
        ("POST", "/metadata", {"metadata": {"a": "b"}}),
        ("PUT", "/tags/x", None),
        ("GET", "/ips", None),
        ("GET", "/os-interface", None),
        ("GET", "/os-instance-actions", None),
        ("POST", "/action", {"os-stop": None}),
        ("POST", "/action", {"forceDelete": None}),
        ("POST", "/action", {"os-getConsoleOutput": {}}),
        ("POST", "/action", {"lock": None}),
    ):
        answer = other(method, f"/servers/{server}{path}", body)
        assert answer.status_code == 404 and "secret" not in answer.text, (method, path)
    port = api.cloud and nova("GET", f"/servers/{server}/os-interface").json()["interfaceAttachments"][0]["port_id"]
    assert other("POST", "/servers", fixtures.body(networks=[{"port": port}])).status_code == 400
    assert other("POST", "/servers", fixtures.body()).status_code == 400  # the network is not theirs
    for query in (f"project_id={nova._session.get_project_id()}", f"uuid={server}", "deleted=True"):
        assert other("GET", f"/servers?{query}").json()["servers"] == []
    nova("DELETE", f"/servers/{server}")


def test_invalid_tokens(api: Api, demo: Connection) -> None:
    forged = demo.auth_token[:-4] + "AAAA"
    for token in (forged, "", "x" * 5000, "\u00e9".encode()):
        answer = requests.get(f"{api.url}/compute/v2.1/servers", headers={"X-Auth-Token": token}, timeout=5)
        assert answer.status_code == 401


def test_bodies_that_are_not_json(api: Api, demo: Connection) -> None:
    headers = {"X-Auth-Token": demo.auth_token, "Content-Type": "application/json"}
    url = f"{api.url}/compute/v2.1/servers"
    for data in (b"{", b"\xff\xfe", b"[" * 100_000, b'{"server": NaN}', b""):
        assert requests.post(url, data=data, headers=headers, timeout=5).status_code == 400
    large = requests.post(url, data=b'{"server": "' + b"x" * (2 << 20) + b'"}', headers=headers, timeout=10)
    assert large.status_code == 413

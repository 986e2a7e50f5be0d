"""Hosts with hostile names, addresses and variables."""

from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from skywright.cli.cloud.steps import StepFailed
from skywright.cli.hosts.enrol import Target
from skywright.cli.hosts.hosts import Wanted, parse_variables

HOSTILE = [
    "-oProxyCommand=touch /tmp/pwned",
    "host -oProxyCommand=x",
    "host\nansible_connection: local",
    "{{ lookup('pipe', 'touch /tmp/pwned') }}",
    "$(reboot)",
    "../../etc",
    "host\0",
    "",
    "a" * 256,
]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch()
    return path


@pytest.mark.parametrize("text", [*HOSTILE, "-rf", "1.2.3", "a..b", "fe80::1%eth0", "user@host", "host,other", "[::1]"])
def test_invalid_addresses_are_refused(text: str, key: Path) -> None:
    with pytest.raises(StepFailed, match="not an address"):
        Target(text, "root", key)


@pytest.mark.parametrize("text", ["192.0.2.7", "2001:db8::7", "node-7.example.net", "node7"])
def test_valid_addresses_are_accepted(text: str, key: Path) -> None:
    assert Target(text, "root", key).entry == text


@pytest.mark.parametrize("text", [*HOSTILE, "-l", "Root", "a b", "root\n"])
def test_invalid_user_names_are_refused(text: str, key: Path) -> None:
    with pytest.raises(StepFailed, match="not a user name"):
        Target("192.0.2.7", text, key)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("name", text) for text in HOSTILE),
        *(("data_interface", text) for text in [*HOSTILE, "eth0; reboot"] if text),
        *(("data_address", text) for text in [*HOSTILE, "172.20.1.1"] if text),
    ],
)
def test_invalid_names_and_data_networks_are_refused(field: str, text: str, key: Path) -> None:
    with pytest.raises(StepFailed):
        Wanted(Target("192.0.2.7", "root", key), ["computes"], **{field: text}, deploy=False)


@pytest.mark.parametrize("text", ["x", "=1", "a-b=1", "{{ x }}=1", "a\n=1", "a={", "a=!!python/object:os.system x"])
def test_invalid_variables_are_refused(text: str) -> None:
    with pytest.raises(StepFailed):
        parse_variables([text])


@pytest.mark.parametrize("name", ["ansible_host", "ansible_user", "ansible_port"])
@pytest.mark.parametrize("text", HOSTILE)
def test_the_api_refuses_options_of_ssh_as_addresses(admin: Connection, api: Api, name: str, text: str) -> None:
    body = {"host": {"variables": {name: text}}}
    assert admin.session.put(f"{api.url}/v1/hosts/victim", json=body, raise_exc=False).status_code == 400
    assert admin.session.get(f"{api.url}/v1/hosts/victim", raise_exc=False).status_code == 404


@pytest.mark.parametrize("name", ["-rf", "a%0Ab", "%7B%7Bx%7D%7D", "a%20b", "a,b", "..%2F..", "a%00", "host%0A"])
def test_the_api_refuses_invalid_names(admin: Connection, api: Api, name: str) -> None:
    answer = admin.session.put(f"{api.url}/v1/hosts/{name}", json={"host": {}}, raise_exc=False)
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "hosts/h/drain", {}),
        ("PUT", "hosts/h", {"host": {"state": "maintenance"}}),
        ("POST", "jobs/j/force", None),
    ],
)
def test_users_can_neither_drain_hosts_nor_force_jobs(
    demo: Connection, api: Api, method: str, path: str, body: Any
) -> None:
    answer = demo.session.request(f"{api.url}/v1/{path}", method, json=body, raise_exc=False)
    assert answer.status_code == 403

"""cloud_host with a scripted API, and the filter that lists hosts for it."""

import io
import json
import urllib.error

import pytest
from ansible_collections.skywright.cloud.plugins.filter.hosts import cloud_hosts
from ansible_collections.skywright.cloud.plugins.modules import cloud_host

from .conftest import predicted

URL = "https://10.0.0.9:8000/v1"
CATALOG = [{"type": "operations", "endpoints": [{"interface": "public", "url": URL}]}]
ONE = {"id": "compute1", "groups": ["networks", "computes"], "variables": {"ansible_host": "10.0.0.21"}}


class FakeApi:
    """What a cloud answers; `states` are those that the jobs of looks go through."""

    def __init__(self):
        self.hosts, self.puts, self.failures = {}, [], []
        self.states = {"compute1": ["queued", "successful"], "compute2": ["successful"]}

    def answer(self, method, url, body):
        if self.failures:
            raise self.failures.pop(0)
        path = url.removeprefix(URL)
        match method, path.split("/")[1:]:
            case "POST", _:
                return {"X-Subject-Token": "t"}, {"token": {"catalog": CATALOG}}
            case "GET", ["hosts"]:
                return {}, {"hosts": list(self.hosts.values())}
            case "GET", ["jobs", name]:
                state = self.states[name].pop(0)
                return {}, {"job": {"state": state, "error": "no route", "waiting_for": None}}
            case "PUT", ["hosts", name]:
                self.puts.append(name)
                self.hosts[name] = {"name": name, **body["host"], "state": "enabled"}
                return {}, {"job": {"id": name}}
            case "DELETE", ["hosts", name]:
                del self.hosts[name]
                return {}, None
        raise AssertionError(f"nobody expected {method} {url}")


@pytest.fixture
def api(monkeypatch):
    fake = FakeApi()
    monkeypatch.setattr(cloud_host.Api, "_try", lambda self, *request: fake.answer(*request))
    monkeypatch.setattr(cloud_host.time, "sleep", lambda seconds: None)
    return fake


@pytest.fixture
def run(run_module):
    def call(*hosts, check=False, **options):
        args = {"auth_url": "https://10.0.0.9:5000/v3", "password": "a secret", "hosts": list(hosts), **options}
        return run_module(cloud_host.main, args, check=check)

    return call


def test_registers_hosts_and_waits_for_the_look(api, run):
    answer = run(ONE)
    assert answer["by_id"]["compute1"]["action"] == "create"
    assert api.hosts["compute1"]["groups"] == ["computes", "networks"]
    assert api.states["compute1"] == []


def test_a_second_run_changes_nothing(api, run):
    run(ONE)
    again = run(ONE)
    assert not again["changed"]
    assert again["commands"] == []


def test_another_variable_is_told(api, run):
    run(ONE)
    api.states["compute1"] = ["successful"]
    answer = run({**ONE, "variables": {"ansible_host": "10.0.0.22"}})
    assert answer["by_id"]["compute1"]["action"] == "update"
    assert api.hosts["compute1"]["variables"] == {"ansible_host": "10.0.0.22"}


def test_check_mode_predicts_and_tells_nothing(api, run):
    expected = run(ONE, check=True)
    assert not api.hosts
    assert predicted(run(ONE)) == predicted(expected)


def test_check_mode_takes_a_cloud_that_is_not_there_for_one_without_hosts(api, run, tmp_path):
    for trouble in (ConnectionRefusedError(), urllib.error.HTTPError(URL, 503, "away", {}, io.BytesIO(b""))):
        api.failures = [trouble] * cloud_host.TRIES
        assert run(ONE, check=True)["by_id"]["compute1"]["action"] == "create"
    absent = str(tmp_path / "ca.pem")
    assert run(ONE, check=True, ca=absent)["by_id"]["compute1"]["action"] == "create"
    assert absent in run(ONE, ca=absent)["by_id"]["compute1"]["error"]


def test_absent_is_forgotten(api, run):
    run(ONE)
    assert run({**ONE, "state": "absent"})["by_id"]["compute1"]["status"] == "absent"
    assert not api.hosts


def test_a_host_that_cannot_be_looked_at_does_not_stop_the_others(api, run):
    api.states["compute1"] = ["failed"]
    answer = run(ONE, {**ONE, "id": "compute2"})
    assert "no route" in answer["by_id"]["compute1"]["error"]
    assert answer["by_id"]["compute2"]["status"] == "present"


def test_a_controller_that_goes_away_is_asked_again(api, run):
    api.failures = [urllib.error.HTTPError(URL, 503, "away", {}, io.BytesIO(b"")), ConnectionResetError()]
    assert run(ONE)["by_id"]["compute1"]["status"] == "present"


def test_what_is_refused_is_not_asked_again(api, run):
    api.failures = [urllib.error.HTTPError(URL, 401, "no", {}, io.BytesIO(json.dumps({"error": "who"}).encode()))]
    assert "401" in run(ONE)["by_id"]["compute1"]["error"]


def test_hosts_are_listed_with_what_the_clouds_playbooks_read():
    hostvars = {
        "compute1": {
            "ansible_host": "10.0.0.21",
            "ansible_user": "deployer",
            "ansible_become": True,
            "vswitch_data_interface": "data0",
            "hypervisor_qemu_settings": {},
            "overcloud_secrets": {"admin": "p"},
        },
        "network1": {"ansible_port": "2222"},
    }
    first, second = cloud_hosts({"computes": ["compute1"], "networks": ["network1", "compute1"]}, hostvars, "/state")
    assert (first["id"], first["groups"]) == ("compute1", ["computes", "networks"])
    ssh = first["variables"].pop("ansible_ssh_common_args")
    assert "UserKnownHostsFile='/state/known_hosts' -o StrictHostKeyChecking=yes" in ssh
    assert first["variables"] == {
        "ansible_host": "10.0.0.21",
        "ansible_port": 22,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": "/state/keys/ssh/id_ed25519",
        "vswitch_data_interface": "data0",
    }
    assert (second["groups"], second["variables"]["ansible_host"]) == (["networks"], "network1")
    assert second["variables"]["ansible_port"] == 2222

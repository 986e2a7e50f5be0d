"""Actions that keep module_utils on the host: here the host is this machine, in a directory of the test."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from ansible.template import Templar
from ansible_collections.skywright.cloud.plugins.action import host_info, host_items
from ansible_collections.skywright.cloud.plugins.plugin_utils import host_python

TEST_DRIVER = "test:///default"
SERVER = "0a0b0c0d-0000-4000-8000-000000000004"


class Host:
    """Runs what an action sends, and remembers the programs and the bytes."""

    def __init__(self, directory):
        self.directory = directory
        self.sent = []

    def execute(self, command, in_data):
        self.sent.append(len(in_data))
        done = subprocess.run(["/bin/sh", "-c", command], input=in_data, capture_output=True, timeout=60, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode(), "stderr": done.stderr.decode()}

    def libraries(self):
        return sorted(path.name for path in self.directory.glob("lib-*"))


@pytest.fixture
def host(tmp_path, monkeypatch):
    directory = tmp_path / "skywright"
    digest = host_python.SCRIPT_VALUES["path"].rpartition("-")[2]
    values = host_python.SCRIPT_VALUES | {"directory": str(directory), "path": f"{directory}/lib-{digest}"}
    monkeypatch.setattr(host_python, "SCRIPT_VALUES", values)
    return Host(directory)


def act(host, action, args, variables=None, check=False):
    """Run the action with the task's *args* and the host's *variables*."""
    task = SimpleNamespace(
        action=action.__name__, args=args, async_val=0, check_mode=check, diff=True, environment=None, delegate_to=None
    )
    made = action.ActionModule(
        task,
        SimpleNamespace(_shell=SimpleNamespace(tmpdir="")),
        SimpleNamespace(),
        None,
        Templar(loader=None, variables=variables or {}),
        None,
    )
    made._compute_environment_string = str
    made._low_level_execute_command = host.execute
    return made.run(task_vars={"ansible_python_interpreter": sys.executable, **(variables or {})})


def test_a_host_gets_the_library_once(host, tmp_path):
    args = {"directory": str(tmp_path)}
    first = act(host, host_info, args, {"hypervisor_libvirt_uri": TEST_DRIVER})
    assert first["host"]["disk_gib"] > 0 and first["host"]["boot"], first
    request, archive, again = host.sent
    assert request == again < 1000 < archive
    second = act(host, host_info, args, {"hypervisor_libvirt_uri": TEST_DRIVER})
    assert second["host"]["disk_gib"] == first["host"]["disk_gib"]
    assert host.sent[3:] == [request]
    assert host.libraries() == [host_python.SCRIPT_VALUES["path"].rpartition("/")[2]]


def test_a_library_that_was_not_finished_is_none(host, tmp_path):
    half = tmp_path / "skywright" / ".lib-killed"
    half.mkdir(parents=True)
    assert "host" in act(host, host_info, {"directory": str(tmp_path)}, {"hypervisor_libvirt_uri": TEST_DRIVER})


def test_old_libraries_leave(host, tmp_path):
    for name in "abcd":
        (host.directory / f"lib-{name}").mkdir(parents=True)
    act(host, host_info, {"directory": str(tmp_path)}, {"hypervisor_libvirt_uri": TEST_DRIVER})
    assert len(host.libraries()) == host_python.KEPT


def test_settings_of_the_host_and_arguments_of_the_task(host, tmp_path):
    """An argument wins over the variable of the same name; results are those of the module as Ansible sends it."""
    args = {"items": {"servers": [{"id": SERVER, "state": "absent"}]}, "hypervisor_libvirt_uri": TEST_DRIVER}
    variables = {"hypervisor_libvirt_uri": "test:///nowhere", "hypervisor_directory": str(tmp_path)}
    for check in (True, False):
        answer = act(host, host_items, args, variables, check=check)
        assert {result["id"] for result in answer["results"]} == {SERVER}, answer
        assert not answer["changed"] and not answer.get("failed"), answer


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ({}, "missing required arguments: items"),
        ({"items": {"servers": [{"id": SERVER, "state": "sideways"}]}}, "sideways"),
        ({"items": {}, "colour": "red"}, "colour"),
    ],
)
def test_wrong_arguments_reach_no_host(host, args, word):
    answer = act(host, host_items, args)
    assert answer["failed"] and word in answer["msg"]
    assert not host.sent


def test_a_module_that_ends_early_gives_the_reason(host, monkeypatch):
    def killed(command, in_data):
        return {"rc": 137, "stdout": "", "stderr": "Killed"}

    monkeypatch.setattr(host, "execute", killed)
    answer = act(host, host_info, {})
    assert answer["failed"] and answer["rc"] == 137 and "Killed" in answer["msg"]


def test_the_archive_is_the_same_each_time():
    assert host_python._archive() == host_python.ARCHIVE


def test_arguments_are_not_in_the_command(host, monkeypatch):
    """Commands are seen by every user of the host, and hold no argument."""
    commands = []

    def execute(command, in_data):
        commands.append(command)
        assert json.loads(in_data)["params"]["items"]["servers"][0]["id"] == SERVER
        return {"rc": 0, "stdout": json.dumps({"changed": False, "results": []}), "stderr": ""}

    monkeypatch.setattr(host, "execute", execute)
    act(host, host_items, {"items": {"servers": [{"id": SERVER, "state": "absent"}]}})
    assert commands and SERVER not in commands[0]

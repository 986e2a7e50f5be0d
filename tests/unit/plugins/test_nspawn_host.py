"""nspawn_host without a kernel: what it writes, what it notices, what it does about it."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import nspawn
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.modules import nspawn_host

NICS = [
    {"name": "host0", "device": "lab-1m", "bridge": "lab-m", "address": "10.90.43.11/24"},
    {"name": "data0", "device": "lab-1d", "bridge": "lab-d"},
]


class Machine:
    """Stands in for what of the module touches the machine."""

    def __init__(self):
        self.calls, self.alive, self.bridges = [], False, {}

    def running(self, name):
        return self.alive

    def attached(self, item):
        return {nic["device"]: self.bridges.get(nic["device"]) for nic in item["nics"]}

    def start(self, runner, item, directory, base):
        self.calls.append("start")
        self.alive, self.bridges = True, {nic["device"]: nic["bridge"] for nic in item["nics"]}

    def stop(self, runner, item, directory):
        self.calls.append("stop")
        self.alive, self.bridges = False, {}


def run_program(argv, timeout):
    if argv[0] == "ssh-keygen":
        Path(argv[-1] + ".pub").write_text("ssh-ed25519 AAAA comment\n")
    if argv[0] == "rm":
        shutil.rmtree(argv[-1])
    return ""


@pytest.fixture
def machine(monkeypatch):
    there = Machine()
    for name in ("running", "attached", "start", "stop"):
        monkeypatch.setattr(nspawn, name, getattr(there, name))
    monkeypatch.setattr(nspawn, "HIERARCHIES", [])
    monkeypatch.setattr(Runner, "_run", staticmethod(run_program))
    return there


@pytest.fixture
def args(tmp_path):
    (tmp_path / "hosts").mkdir()
    return {
        "base": "/base-1",
        "directory": str(tmp_path / "hosts"),
        "authorized_key": "ssh-ed25519 MINE",
        "known_hosts": str(tmp_path / "known_hosts"),
        "hosts": [{"name": "lab-host1", "hostname": "host1", "nics": NICS}],
    }


def absent(args):
    return args | {"hosts": [args["hosts"][0] | {"state": "absent"}]}


def test_a_new_host_has_an_identity_that_is_recorded(run_module, machine, args, tmp_path):
    answer = run_module(nspawn_host.main, args)
    upper = tmp_path / "hosts/host1/upper"
    assert answer["results"][0]["action"] == "create"
    assert machine.calls == ["start"]
    assert (tmp_path / "known_hosts").read_text() == "10.90.43.11 ssh-ed25519 AAAA\n"
    assert (upper / "etc/hostname").read_text() == "host1\n"
    assert len((upper / "etc/machine-id").read_text()) == 33
    assert (upper / "root/.ssh/authorized_keys").read_text() == "ssh-ed25519 MINE\n"
    assert stat.S_IMODE((upper / "root").stat().st_mode) == 0o700
    assert stat.S_IMODE((upper / "etc").stat().st_mode) == 0o755
    assert "Address=10.90.43.11/24" in (upper / "etc/systemd/network/10-host0.network").read_text()


def test_a_second_run_changes_nothing(run_module, machine, args):
    run_module(nspawn_host.main, args)
    answer = run_module(nspawn_host.main, args)
    assert not answer["changed"]
    assert machine.calls == ["start"]


def test_check_mode_touches_nothing(run_module, machine, args, tmp_path):
    assert run_module(nspawn_host.main, args, check=True)["changed"]
    assert not list((tmp_path / "hosts").iterdir())
    assert machine.calls == []


def test_a_killed_host_is_started_again_and_keeps_its_identity(run_module, machine, args, tmp_path):
    run_module(nspawn_host.main, args)
    identity = (tmp_path / "hosts/host1/upper/etc/machine-id").read_text()
    machine.alive = False
    assert run_module(nspawn_host.main, args)["results"][0]["action"] == "update"
    assert machine.calls == ["start", "start"]
    assert (tmp_path / "hosts/host1/upper/etc/machine-id").read_text() == identity


def test_a_host_whose_device_is_gone_is_started_again(run_module, machine, args):
    run_module(nspawn_host.main, args)
    machine.bridges["lab-1m"] = None
    run_module(nspawn_host.main, args)
    assert machine.calls == ["start", "start"]


def test_another_recipe_makes_another_host(run_module, machine, args, tmp_path):
    run_module(nspawn_host.main, args)
    identity = (tmp_path / "hosts/host1/upper/etc/machine-id").read_text()
    run_module(nspawn_host.main, args | {"base": "/base-2"})
    assert machine.calls == ["start", "stop", "start"]
    assert (tmp_path / "hosts/host1/upper/etc/machine-id").read_text() != identity
    assert (tmp_path / "known_hosts").read_text().count("10.90.43.11") == 1


def test_a_half_made_host_is_made_anew(run_module, machine, args, tmp_path):
    (tmp_path / "hosts/.host1.half-made/upper/rest").mkdir(parents=True)
    run_module(nspawn_host.main, args)
    assert not (tmp_path / "hosts/host1/upper/rest").exists()


def test_absent_leaves_nothing(run_module, machine, args, tmp_path):
    run_module(nspawn_host.main, args)
    assert run_module(nspawn_host.main, absent(args))["changed"]
    assert not list((tmp_path / "hosts").iterdir())
    assert (tmp_path / "known_hosts").read_text() == ""
    assert not run_module(nspawn_host.main, absent(args))["changed"]


def test_a_host_needs_a_tree_and_a_key(run_module, machine, args):
    answer = run_module(nspawn_host.main, args | {"base": None})
    assert "needs base and authorized_key" in answer["msg"]


def test_the_script_runs_the_host_again_only_when_it_reboots(tmp_path):
    item = {"name": "lab-host1", "nics": NICS}
    script = nspawn.script(item, str(tmp_path))
    calls, path = tmp_path / "calls", tmp_path / "bin"
    path.mkdir()
    for name in ("ip", "mkdir", "nsenter"):
        (path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\n')
        (path / name).chmod(0o755)
    with (path / "nsenter").open("a") as file:
        file.write(f"[ $(grep -c ^nsenter {calls}) -eq 1 ] && exit 133 || exit 0\n")
    (tmp_path / "run").write_text("\n".join(x for x in script.splitlines() if "cgroup.procs" not in x))
    os.system(f"PATH={path}:$PATH sh {tmp_path}/run")
    lines = calls.read_text().splitlines()
    assert len([line for line in lines if line.startswith("nsenter --net=/run/netns/lab-host1 systemd-nspawn")]) == 2
    assert len([line for line in lines if line == "ip link set lab-1d master lab-d up"]) == 2


def test_the_recipe_is_kept_as_json(run_module, machine, args, tmp_path):
    run_module(nspawn_host.main, args)
    recipe = json.loads((tmp_path / "hosts/host1/recipe.json").read_text())
    assert recipe["base"] == "/base-1"

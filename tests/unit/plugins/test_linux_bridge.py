"""linux_bridge against a scripted C(ip)."""

import json

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.modules import linux_bridge

ARGS = {"bridges": [{"name": "lab-m", "address": "10.90.43.1/24"}]}


def link(name, *addresses, kind="bridge", up=True):
    info = [{"family": "inet", "local": a.split("/")[0], "prefixlen": int(a.split("/")[1])} for a in addresses]
    flags = ["UP"] if up else []
    return {"ifname": name, "flags": flags, "addr_info": info, "linkinfo": {"info_kind": kind}}


@pytest.fixture
def machine(monkeypatch):
    links, sent = [], []

    def run(argv, timeout):
        if "show" in argv:
            return json.dumps(links)
        sent.append(" ".join(argv))
        return ""

    monkeypatch.setattr(Runner, "_run", staticmethod(run))
    return links, sent


def test_creates(run_module, machine):
    assert run_module(linux_bridge.main, ARGS)["changed"]
    assert machine[1] == [
        "ip link add lab-m type bridge",
        "ip address replace 10.90.43.1/24 dev lab-m",
        "ip link set lab-m up",
    ]


def test_a_second_run_changes_nothing(run_module, machine):
    links, sent = machine
    links.append(link("lab-m", "10.90.43.1/24"))
    assert not run_module(linux_bridge.main, ARGS)["changed"]
    assert sent == []


@pytest.mark.parametrize("found", [link("lab-m"), link("lab-m", "10.90.43.1/24", up=False)])
def test_completes_one_that_is_half_made(run_module, machine, found):
    links, sent = machine
    links.append(found)
    assert run_module(linux_bridge.main, ARGS)["changed"]
    assert sent[-1] == "ip link set lab-m up"


def test_replaces_a_wrong_address(run_module, machine):
    links, sent = machine
    links.append(link("lab-m", "10.0.0.1/24"))
    run_module(linux_bridge.main, ARGS)
    assert sent[:2] == ["ip address delete 10.0.0.1/24 dev lab-m", "ip address replace 10.90.43.1/24 dev lab-m"]


def test_check_mode_sends_nothing(run_module, machine):
    assert run_module(linux_bridge.main, ARGS, check=True)["changed"]
    assert machine[1] == []


def test_absent(run_module, machine):
    links, sent = machine
    links.append(link("lab-m"))
    run_module(linux_bridge.main, {"bridges": [{"name": "lab-m", "state": "absent"}]})
    assert sent == ["ip link delete lab-m"]

"""ovs_bridge against a scripted switch."""

import json

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.modules import ovs_bridge

BR_INT = {"bridges": [{"name": "br-int"}]}
BR_PHY = {"bridges": [{"name": "br-phy", "ports": ["data0"]}]}


def table(headings, rows):
    return json.dumps({"headings": headings, "data": rows})


class Switch:
    """Answers reads from its bridges, keeps writes, refuses those that name a word of C(refused)."""

    def __init__(self, bridges=(), kernel=False):
        self.bridges, self.kernel, self.refused, self.sent = dict(bridges), kernel, None, []
        self.fail_modes = {}

    def __call__(self, argv, timeout):
        if argv[0] == "ovs-dpctl":
            if not self.kernel:
                raise ItemError("no such family")
            return ""
        if "list" in argv:
            return self._tables()
        self.sent.append(argv)
        if self.refused in argv:
            raise ItemError(f"{self.refused} is refused")
        return ""

    def _tables(self):
        bridges, ports = [], []
        for name, (datapath, names) in self.bridges.items():
            uuids = [["uuid", f"p-{port}"] for port in [name, *names]]
            bridges.append(
                [
                    ["uuid", name],
                    name,
                    datapath,
                    self.fail_modes.get(name, ["set", []]),
                    uuids[0] if len(uuids) == 1 else ["set", uuids],
                ]
            )
            ports += [[["uuid", f"p-{port}"], port] for port in [name, *names]]
        tables = [
            table(["_uuid", "name", "datapath_type", "fail_mode", "ports"], bridges),
            table(["_uuid", "name"], ports),
        ]
        return "\n".join(tables)


@pytest.fixture
def switch(monkeypatch):
    there = Switch()
    monkeypatch.setattr(Runner, "_run", staticmethod(there))
    monkeypatch.setattr(ovs_bridge.shutil, "which", lambda name: f"/usr/bin/{name}")
    return there


@pytest.mark.parametrize(("kernel", "datapath"), [(True, "system"), (False, "netdev")])
def test_a_new_bridge_gets_the_datapath_that_the_kernel_can(run_module, switch, kernel, datapath):
    switch.kernel = kernel
    answer = run_module(ovs_bridge.main, BR_PHY)
    assert answer["changed"]
    (sent,) = switch.sent
    expected = ["add-br", "br-phy", "--", "set", "Bridge", "br-phy", f"datapath_type={datapath}"]
    assert " ".join([*expected, "--", "add-port", "br-phy", "data0"]) in " ".join(sent)


@pytest.mark.parametrize("datapath", ["netdev", "system", ""])
def test_a_second_run_changes_nothing(run_module, switch, datapath):
    switch.bridges = {"br-phy": (datapath, ["data0", "other"])}
    answer = run_module(ovs_bridge.main, BR_PHY)
    assert not answer["changed"]
    assert switch.sent == []


def test_a_missing_port_is_added_and_others_stay(run_module, switch):
    switch.bridges = {"br-phy": ("netdev", ["other"])}
    run_module(ovs_bridge.main, BR_PHY)
    assert " ".join(switch.sent[0]).endswith("-- add-port br-phy data0")


def test_a_wanted_datapath_replaces_another(run_module, switch):
    switch.bridges = {"br-int": ("system", [])}
    run_module(ovs_bridge.main, {"bridges": [{"name": "br-int", "datapath_type": "netdev"}]})
    assert " ".join(switch.sent[0]).endswith("-- set Bridge br-int datapath_type=netdev")


def test_check_mode_predicts_and_sends_nothing(run_module, switch):
    answer = run_module(ovs_bridge.main, BR_PHY, check=True)
    assert answer["changed"]
    assert answer["results"][0]["diff"]["after"]["ports"] == ["data0"]
    assert switch.sent == []


def test_check_mode_needs_no_switch(run_module, monkeypatch):
    monkeypatch.setattr(ovs_bridge.shutil, "which", lambda name: None)
    assert run_module(ovs_bridge.main, BR_INT, check=True)["changed"]


def test_absent(run_module, switch):
    switch.bridges = {"br-int": ("netdev", [])}
    run_module(ovs_bridge.main, {"bridges": [{"name": "br-int", "state": "absent"}]})
    assert switch.sent[0][-2:] == ["del-br", "br-int"]


def test_one_bad_bridge_never_stops_the_others(run_module, switch):
    switch.refused = "bad"
    answer = run_module(ovs_bridge.main, {"bridges": [{"name": "bad"}, {"name": "br-int"}]})
    bad, good = answer["results"]
    assert answer["failed"]
    assert bad["error"] == "bad is refused"
    assert "error" not in good
    assert "br-int" in switch.sent[-1]
    assert "bad" not in switch.sent[-1]


def test_a_bridge_that_passes_nothing_without_a_flow(run_module, switch):
    wanted = {"bridges": [{"name": "br-sec", "fail_mode": "secure"}]}
    run_module(ovs_bridge.main, wanted)
    assert " ".join(switch.sent[0]).endswith("-- set-fail-mode br-sec secure")
    switch.bridges = {"br-sec": ("netdev", [])}
    run_module(ovs_bridge.main, wanted)
    assert switch.sent[1][-3:] == ["set-fail-mode", "br-sec", "secure"]
    switch.fail_modes = {"br-sec": "secure"}
    assert not run_module(ovs_bridge.main, wanted)["changed"]
    run_module(ovs_bridge.main, {"bridges": [{"name": "br-sec"}]})
    assert switch.sent[2][-3:] == ["set-fail-mode", "br-sec", "standalone"]

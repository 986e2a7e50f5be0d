"""QoS rules of ports: the texts of meters and flows, numbers of meters, and what restores them."""

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_qos as kind
from ansible_collections.skywright.cloud.plugins.module_utils.qos_flows import flows, meters
from ansible_collections.skywright.cloud.plugins.modules import ovs_qos
from kinds.fake_flows import FakeFlows

NET = "0a0b0c0d-0000-4000-8000-000000000001"
PORTS = [f"{n}a0b0c0d-0000-4000-8000-000000000001" for n in "123"]
COOKIE = "cookie=0x736b711a0b0c0d00"
TAP, PATCH = 'in_port="tap1a0b0c0d-00"', 'in_port="ss1a0b0c0d-00"'
TO_TAP, TO_PATCH = 'output:"tap1a0b0c0d-00"', 'output:"ss1a0b0c0d-00"'


def limit(direction, kbps, burst=0):
    return {"direction": direction, "max_kbps": kbps, "max_burst_kbps": burst}


def packets(direction, kpps, burst=0):
    return {"direction": direction, "max_kpps": kpps, "max_burst_kpps": burst}


def port(number=0, *, secured=True, bits=(), rates=(), mark=None):
    qos = {"bandwidth_limits": list(bits), "packet_rate_limits": list(rates), "dscp_mark": mark}
    return {"id": PORTS[number], "port_security_enabled": secured, "qos": qos}


def texts(one, number=1):
    return flows(one, "tap1a0b0c0d-00", "ss1a0b0c0d-00", number)


def test_each_limit_has_a_meter():
    one = port(
        bits=[limit("egress", 3000), limit("ingress", 5000, 2000)],
        rates=[packets("ingress", 2), packets("egress", 10, 4)],
    )
    assert meters(one, 1450, 2) == [
        "meter=8,kbps,burst,bands=type=drop,rate=3000,burst_size=2400",
        "meter=9,kbps,burst,bands=type=drop,rate=5000,burst_size=2000",
        "meter=10,pktps,burst,bands=type=drop,rate=10000,burst_size=4000",
        "meter=11,pktps,burst,bands=type=drop,rate=2000,burst_size=1600",
    ]


@pytest.mark.parametrize(
    ("one", "mtu", "expected"),
    [
        (port(bits=[limit("egress", 10)]), 1450, "rate=10,burst_size=24"),  # two frames
        (port(bits=[limit("egress", 10, 1)]), 9000, "rate=10,burst_size=145"),
        (port(bits=[limit("egress", 2**31 - 1, 2**31 - 1)]), 1450, "rate=2147483647,burst_size=2147483647"),
        (port(rates=[packets("egress", 2**31 - 1)]), 1450, "rate=4294967295,burst_size=4294967295"),
    ],
)
def test_bursts_are_large_enough_and_rates_fit_into_the_protocol(one, mtu, expected):
    [found] = meters(one, mtu, 1)
    assert found.endswith(expected)


def test_a_limit_of_0_is_none():
    one = port(bits=[limit("egress", 0), limit("ingress", 0, 100)], rates=[packets("egress", 0)])
    assert meters(one, 1450, 1) == [] and texts(one) == []


def test_flows_of_a_secured_port_come_after_its_filters():
    one = port(bits=[limit("egress", 3000)], mark=46)
    assert texts(one) == [
        f"{COOKIE}, table=7, priority=12,{TAP} actions=meter:4,{TO_PATCH}",
        f"{COOKIE}, table=7, priority=15,ip,{TAP} actions=meter:4,set_field:46->ip_dscp,{TO_PATCH}",
        f"{COOKIE}, table=7, priority=15,ipv6,{TAP} actions=meter:4,set_field:46->ip_dscp,{TO_PATCH}",
    ]


def test_a_second_meter_has_a_table_of_its_own():
    one = port(bits=[limit("ingress", 3000)], rates=[packets("ingress", 1)])
    assert texts(one) == [
        f"{COOKIE}, table=7, priority=12,{PATCH} actions=meter:5,resubmit(,8)",
        f"{COOKIE}, table=8, priority=10,{PATCH} actions=meter:7,{TO_TAP}",
    ]
    assert texts(port(rates=[packets("egress", 1)], mark=0)) == [
        f"{COOKIE}, table=7, priority=12,{TAP} actions=resubmit(,8)",
        f"{COOKIE}, table=7, priority=15,ip,{TAP} actions=set_field:0->ip_dscp,resubmit(,8)",
        f"{COOKIE}, table=7, priority=15,ipv6,{TAP} actions=set_field:0->ip_dscp,resubmit(,8)",
        f"{COOKIE}, table=8, priority=10,{TAP} actions=meter:6,{TO_PATCH}",
    ]


def test_a_port_without_port_security_has_flows_that_pass_the_rest():
    assert texts(port(secured=False, bits=[limit("ingress", 3000)])) == [
        f"{COOKIE}, priority=5,{PATCH} actions=resubmit(,7)",
        f"{COOKIE}, priority=5,{TAP} actions=resubmit(,7)",
        f"{COOKIE}, table=7, priority=12,{PATCH} actions=meter:5,{TO_TAP}",
        f"{COOKIE}, table=7, priority=5,{PATCH} actions={TO_TAP}",
        f"{COOKIE}, table=7, priority=5,{TAP} actions={TO_PATCH}",
    ]


@pytest.fixture
def switch(programs, tmp_path, monkeypatch):
    for option, name in (("directory", "qos"), ("unit_directory", "system")):
        monkeypatch.setitem(kind.OvsQos.options, option, {"default": str(tmp_path / name)})
    (tmp_path / "system" / "ovs-vswitchd.service.wants").mkdir(parents=True)
    programs["ovs-ofctl"] = found = FakeFlows()
    programs["ovs-vsctl"] = lambda argv: ""
    programs["systemctl"] = lambda argv: (tmp_path / "system/ovs-vswitchd.service.wants" / argv[2]).touch() or ""
    return found


def converge(run_module, *ports):
    return run_module(ovs_qos.main, {"networks": [{"id": NET, "ports": list(ports)}]})


def test_ports_have_different_meters_and_keep_them(run_module, switch, tmp_path):
    converge(run_module, *(port(number, bits=[limit("egress", 1000 + number)]) for number in range(2)))
    assert sorted(switch.meters) == [4, 8]
    converge(run_module, {"id": PORTS[0], "state": "absent"})
    assert sorted(switch.meters) == [8] and {key[0] for key in switch.actions} == {"0x736b712a0b0c0d00"}
    switch.meters[5] = "meter=5,kbps,burst,bands=type=drop,rate=1,burst_size=1"  # of nobody
    converge(run_module, port(2, bits=[limit("egress", 9)]), port(1, bits=[limit("ingress", 7)]))
    assert sorted(switch.meters) == [5, 9, 12]
    assert not converge(run_module, port(1, bits=[limit("ingress", 7)]))["changed"]


def test_a_changed_rate_keeps_the_flows(run_module, switch):
    converge(run_module, port(bits=[limit("egress", 1000)]))
    before = dict(switch.actions)
    answer = converge(run_module, port(bits=[limit("egress", 2000)]))
    assert [command[3] for command in answer["commands"]] == ["mod-meter"]
    assert switch.actions == before and "rate=2000" in switch.meters[4]


def test_rules_without_meters_leave_none(run_module, switch):
    converge(run_module, port(bits=[limit("egress", 1000)]))
    converge(run_module, port(mark=10))
    assert switch.meters == {} and len(switch.actions) == 2
    assert not converge(run_module, port(mark=10))["changed"]


def test_lost_meters_come_back_with_their_flows(run_module, switch):
    converge(run_module, port(bits=[limit("egress", 1000)]))
    before = dict(switch.meters), dict(switch.actions)
    switch(["ovs-ofctl", "-O", "OpenFlow13", "del-meters", "br-sec", "meter=4"])
    assert not switch.actions
    assert converge(run_module, port(bits=[limit("egress", 1000)]))["changed"]
    assert (switch.meters, switch.actions) == before


def test_a_host_without_rules_is_not_asked(run_module, switch):
    switch.dumps = 0
    assert not converge(run_module, {"id": PORTS[0], "port_security_enabled": True})["changed"]
    assert switch.dumps == 0


def test_the_unit_restores_meters_before_flows(run_module, switch, tmp_path):
    converge(run_module, port(bits=[limit("egress", 1000)]))
    unit = (tmp_path / "system" / "skywright-qos.service").read_text()
    assert unit.index("add-meter") < unit.index("bundle") and str(tmp_path / "qos") in unit
    saved = (tmp_path / "qos" / NET / PORTS[0]).read_text().splitlines()
    assert saved[:2] == ["# number 1", "meter add meter=4,kbps,burst,bands=type=drop,rate=1000,burst_size=800"]
    assert all(line.startswith("flow add cookie=") for line in saved[2:])

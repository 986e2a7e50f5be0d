"""Flows of port security: what they say is in tests/lab, which sends frames."""

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_port_security as kind
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import cookie, flows
from ansible_collections.skywright.cloud.plugins.modules import ovs_port_security
from kinds.hosts.ovs_port_security import PORT, Host

NET = "0a0b0c0d-0000-4000-8000-000000000001"
ONE, TWO = "1a0b0c0d-0000-4000-8000-000000000003", "1a0b0c0e-0000-4000-8000-000000000004"
TAP = "tap1a0b0c0d-00"
HERE = f'in_port="{TAP}",dl_src=fa:16:3e:00:00:01'


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


def port(identifier=ONE, **changes):
    return {"id": identifier, **PORT, **changes}


def args(*ports):
    return {"networks": [{"id": NET, "ports": list(ports)}]}


def cookies(host):
    return {name for name, _match in host.switch.actions}


def test_a_server_sends_from_its_own_addresses():
    found = {text.partition(", ")[2] for text in flows({**port(), "allowed_address_pairs": []}, TAP)}
    assert {text for text in found if text.startswith("priority=20,") and "icmp6" not in text} == {
        f"priority=20,arp,{HERE},arp_spa=0.0.0.0,arp_sha=fa:16:3e:00:00:01 actions=NORMAL",
        f"priority=20,arp,{HERE},arp_spa=10.0.0.5,arp_sha=fa:16:3e:00:00:01 actions=NORMAL",
        f"priority=20,ip,{HERE},nw_src=10.0.0.5 actions=NORMAL",
        f"priority=20,ipv6,{HERE},ipv6_src=fd00::5 actions=NORMAL",
        f"priority=20,ipv6,{HERE},ipv6_src=fe80::f816:3eff:fe00:1 actions=NORMAL",
    }
    assert f'priority=10,in_port="{TAP}" actions=drop' in found


@pytest.mark.parametrize(
    ("pair", "match"),
    [
        ({"ip_address": "10.0.0.100"}, f"ip,{HERE},nw_src=10.0.0.100"),
        ({"ip_address": "10.0.0.100/24"}, f"ip,{HERE},nw_src=10.0.0.0/24"),
        ({"ip_address": "0.0.0.0/0"}, f"ip,{HERE}"),
        ({"ip_address": "FD01::/64"}, f"ipv6,{HERE},ipv6_src=fd01::/64"),
        (
            {"ip_address": "10.0.0.9", "mac_address": "00:00:5E:00:01:01"},
            f'ip,in_port="{TAP}",dl_src=00:00:5e:00:01:01,nw_src=10.0.0.9',
        ),
    ],
)
def test_a_server_also_sends_from_its_allowed_address_pairs(pair, match):
    found = flows({**port(), "allowed_address_pairs": [{"mac_address": None, **pair}]}, TAP)
    assert f"cookie={cookie(ONE)}, priority=20,{match} actions=NORMAL" in found


def test_only_what_differs_is_replaced(run_module, host):
    run_module(ovs_port_security.main, args(port(), port(TWO)))
    more = port(addresses=["10.0.0.5", "10.0.0.6", "fd00::5"])
    [command] = run_module(ovs_port_security.main, args(more, port(TWO)))["commands"]
    assert [line.split(", ", 1)[1] for line in command[4:]] == [
        f"priority=20,arp,{HERE},arp_spa=10.0.0.6,arp_sha=fa:16:3e:00:00:01 actions=NORMAL",
        f"priority=20,ip,{HERE},nw_src=10.0.0.6 actions=NORMAL",
    ]


def test_ports_that_are_not_listed_stay(run_module, host):
    run_module(ovs_port_security.main, args(port(), port(TWO)))
    run_module(ovs_port_security.main, args({"id": ONE, "state": "absent"}))
    assert cookies(host) == {cookie(TWO)}
    assert not run_module(ovs_port_security.main, args(port(TWO)))["changed"]


def test_port_security_is_switched_off(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    assert run_module(ovs_port_security.main, args(port(port_security_enabled=False)))["changed"]
    assert not host.switch.actions and not kind.OvsPortSecurity().marks()


@pytest.mark.parametrize("enabled", [True, False])
def test_flows_of_a_removed_port_do_not_act_on_the_next_with_its_number(run_module, host, enabled):
    run_module(ovs_port_security.main, args(port()))
    host.switch.actions = {(cookie(TWO), match): drop for (_, match), drop in host.switch.actions.items()}
    assert run_module(ovs_port_security.main, args(port(port_security_enabled=enabled)))["changed"]
    assert cookies(host) == ({cookie(ONE)} if enabled else set())


def test_flows_that_the_switch_has_forgotten_are_restored(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    before = dict(host.switch.actions)
    host.switch.actions.clear()
    assert run_module(ovs_port_security.main, args(port()))["by_id"][NET]["action"] == "update"
    assert host.switch.actions == before


def test_a_refused_bundle_fails_only_its_network(run_module, host, programs):
    def refuse(argv, stdin=""):
        if cookie(ONE) in stdin:
            raise kind.ItemError("ovs-ofctl failed (1): no")
        return host.switch(argv, stdin)

    programs["ovs-ofctl"] = refuse
    other = {"id": TWO, "ports": [port(TWO)]}
    answer = run_module(ovs_port_security.main, {"networks": [*args(port())["networks"], other]})
    assert "no" in answer["by_id"][NET]["error"] and "error" not in answer["by_id"][TWO]


def test_the_unit_that_restores_flows_is_repaired(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    unit = host.root / "system" / kind.UNIT_NAME
    text = unit.read_text()
    unit.write_text("[Unit]\n")
    answer = run_module(ovs_port_security.main, args(port()))
    assert unit.read_text() == text
    assert answer["commands"] == [["systemctl", "enable", kind.UNIT_NAME]], "flows that are right stay"
    assert not run_module(ovs_port_security.main, args(port()))["changed"]

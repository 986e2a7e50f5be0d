"""Flows of port security: what they say is in tests/lab, which sends frames."""

import re

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import ovs_port_security as kind
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import PORTS, SHARED, load, loaded
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import cookie as cookie_of
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import flows, is_tracked, zone_of
from ansible_collections.skywright.cloud.plugins.module_utils.switch_flows import FEW_COOKIES, UNIT_NAME
from ansible_collections.skywright.cloud.plugins.modules import ovs_port_security
from kinds.hosts.ovs_port_security import PORT, Host

NET = "0a0b0c0d-0000-4000-8000-000000000001"
ONE, TWO = "1a0b0c0d-0000-4000-8000-000000000003", "1a0b0c0e-0000-4000-8000-000000000004"
THREE = "1a0b0c0f-0000-4000-8000-000000000005"
GROUP, OTHER = "5a0b0c0d-0000-4000-8000-000000000001", "5a0b0c0d-0000-4000-9000-000000000002"
TAP, PATCH = "tap1a0b0c0d-00", "ss1a0b0c0d-00"
HERE = f'in_port="{TAP}",dl_src=fa:16:3e:00:00:01'


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


def port(identifier=ONE, **changes):
    return {"id": identifier, **PORT, **changes}


def args(*ports):
    return {"networks": [{"id": NET, "ports": list(ports)}]}


def cookie(identifier):
    return cookie_of(PORTS, identifier)


def cookies(host):
    return {name for name, _table, _match in host.switch.actions} - {cookie_of(SHARED)}


def texts(**changes):
    """The flows of a port in zone 7, without their cookie."""
    one = {"allowed_address_pairs": [], "stateful": True, **port(**changes)}
    found = flows(one, TAP, PATCH, 7 if is_tracked(one) else None)
    assert all(text.startswith(f"cookie={cookie(ONE)}, ") for text in found)
    return {text.partition(", ")[2] for text in found}


def test_a_server_sends_from_its_own_addresses():
    found = texts()
    assert {text for text in found if text.startswith("table=1, priority=20,") and "icmp6" not in text} == {
        f"table=1, priority=20,arp,{HERE},arp_spa=0.0.0.0,arp_sha=fa:16:3e:00:00:01 actions=resubmit(,7)",
        f"table=1, priority=20,arp,{HERE},arp_spa=10.0.0.5,arp_sha=fa:16:3e:00:00:01 actions=resubmit(,7)",
        f"table=1, priority=20,ip,{HERE},nw_src=10.0.0.5 actions=resubmit(,2)",
        f"table=1, priority=20,ipv6,{HERE},ipv6_src=fd00::5 actions=resubmit(,2)",
        f"table=1, priority=20,ipv6,{HERE},ipv6_src=fe80::f816:3eff:fe00:1 actions=resubmit(,2)",
    }


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
    found = texts(allowed_address_pairs=[{"mac_address": None, **pair}])
    assert f"table=1, priority=20,{match} actions=resubmit(,2)" in found


def test_frames_of_a_port_visit_its_security_groups():
    found = texts(security_groups=[OTHER, GROUP])
    visits = [f"{load(group, 1)},resubmit(,10)," for group in (GROUP, OTHER)]
    assert f'table=5, priority=10,in_port="{TAP}" actions={"".join(visits)}resubmit(,6)' in found
    assert f'priority=10,in_port="{PATCH}" actions=load:0x7->NXM_NX_REG0[],resubmit(,3)' in found


def test_nothing_passes_without_a_security_group_in_the_list():
    assert f'table=5, priority=10,in_port="{PATCH}" actions=resubmit(,6)' in texts(security_groups=[])


def test_a_port_without_a_list_of_security_groups_is_not_filtered():
    found = texts(security_groups=None)
    assert f'priority=10,in_port="{PATCH}" actions=resubmit(,7)' in found
    assert f"table=1, priority=20,ip,{HERE},nw_src=10.0.0.5 actions=resubmit(,7)" in found
    assert not any(text.startswith("table=5,") or "REG0" in text for text in found)


def test_connections_of_a_stateless_port_are_not_tracked():
    found = texts(stateful=False)
    assert f'priority=10,in_port="{TAP}" actions=resubmit(,1)' in found
    assert zone_of("\n".join(found)) is None


def test_an_id_in_a_register():
    assert loaded(GROUP, 1) == "reg4=0x5a0b0c0d,reg5=0x4000,reg6=0x80000000,reg7=0x1"
    assert loaded("00000000-0000-4000-8000-000000000000", 2) == "reg8=0,reg9=0x4000,reg10=0x80000000,reg11=0"
    assert load(GROUP, 2) == (
        "load:0x8000000000000001->NXM_NX_XXREG2[0..63],load:0x5a0b0c0d00004000->NXM_NX_XXREG2[64..127]"
    )


def zones(host):
    found = [re.search(r"load:(\w+)->NXM_NX_REG0", text) for text in host.switch.actions.values()]
    return sorted({int(match[1], 16) for match in found if match})


def test_each_port_has_a_zone_of_connection_tracking(run_module, host):
    run_module(ovs_port_security.main, args(port(), port(TWO)))
    assert zones(host) == [1, 2]
    run_module(ovs_port_security.main, args({"id": ONE, "state": "absent"}))
    run_module(ovs_port_security.main, {"networks": [{"id": TWO, "ports": [port(THREE)]}]})
    assert zones(host) == [1, 2], "the first free one"
    run_module(ovs_port_security.main, args(port(ONE), port(TWO)))
    assert zones(host) == [1, 2, 3]
    host.switch.actions.clear()
    assert run_module(ovs_port_security.main, args(port(ONE), port(TWO)))["changed"]
    assert zones(host) == [2, 3], "a port keeps its zone"


def test_all_zones_are_in_use(run_module, host, monkeypatch):
    monkeypatch.setattr(kind.OvsPortSecurity, "candidates", range(1, 2))
    answer = run_module(ovs_port_security.main, args(port(), port(TWO)))
    assert "zones" in answer["by_id"][NET]["error"]


def test_the_flows_of_many_ports_are_read_at_once(run_module, host):
    many = [port(f"1a0b0c{number:02x}-0000-4000-8000-000000000001") for number in range(FEW_COOKIES + 1)]
    run_module(ovs_port_security.main, args(*many))
    for listed, dumps in ((many, 2), (many[:1], 2), (many[1:4], 4)):  # one of them is for the shared flows
        host.switch.dumps = 0
        assert not run_module(ovs_port_security.main, args(*listed))["changed"]
        assert host.switch.dumps == dumps


def test_a_removed_port_leaves_those_that_are_not_listed(run_module, host):
    run_module(ovs_port_security.main, args(port(), port(TWO)))
    for identifier, action in ((ONE, "update"), (TWO, "delete")):
        answer = run_module(ovs_port_security.main, args({"id": identifier, "state": "absent"}))
        assert answer["by_id"][NET]["action"] == action
    assert not cookies(host) and not kind.OvsPortSecurity().marks()


def test_shared_flows_that_the_switch_has_forgotten_are_restored(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    before = dict(host.switch.actions)
    host.switch.actions = {key: text for key, text in before.items() if key[0] != cookie_of(SHARED)}
    answer = run_module(ovs_port_security.main, args(port()))
    assert answer["by_id"][NET]["action"] == "update" and host.switch.actions == before


def test_a_failed_security_group_fails_its_ports():
    item = {"id": NET, "ports": [{"id": ONE, "security_groups": [GROUP]}, {"id": TWO, "security_groups": None}]}
    assert kind.OvsPortSecurity().needs(item) == [NET, GROUP]


@pytest.mark.parametrize("state", [{}, {"port_security_enabled": False}, {"state": "absent"}])
def test_the_flows_of_before_on_br_int_are_removed(run_module, host, state):
    """Those of other ports stay until their ports are converged."""
    old = host.root / "port-security" / NET
    old.mkdir(parents=True)
    for identifier in (ONE, TWO):
        (old / identifier).write_text("flow add table=0, priority=10 actions=NORMAL\n")
    host.switch.old = {cookie(ONE), cookie(TWO)}
    assert kind.OvsPortSecurity().marks() == [{"id": NET, "ports": [ONE, TWO]}]
    assert run_module(ovs_port_security.main, args(port(**state)))["changed"]
    assert host.switch.old == {cookie(TWO)} and [path.name for path in old.iterdir()] == [TWO]
    assert cookies(host) == (set() if state else {cookie(ONE)})
    run_module(ovs_port_security.main, {"networks": [{"id": NET, "state": "absent"}]})
    assert host.switch.old == set() and not (host.root / "port-security").exists()
    assert kind.OvsPortSecurity().marks() == []


def test_only_what_differs_is_replaced(run_module, host):
    run_module(ovs_port_security.main, args(port(), port(TWO)))
    more = port(addresses=["10.0.0.5", "10.0.0.6", "fd00::5"])
    [command] = run_module(ovs_port_security.main, args(more, port(TWO)))["commands"]
    assert [line.split(", ", 1)[1] for line in command[4:]] == [
        f"table=1, priority=20,arp,{HERE},arp_spa=10.0.0.6,arp_sha=fa:16:3e:00:00:01 actions=resubmit(,7)",
        f"table=1, priority=20,ip,{HERE},nw_src=10.0.0.6 actions=resubmit(,2)",
    ]


def test_ports_that_are_not_listed_stay(run_module, host):
    run_module(ovs_port_security.main, args(port(), port(TWO)))
    run_module(ovs_port_security.main, args({"id": ONE, "state": "absent"}))
    assert cookies(host) == {cookie(TWO)}
    assert not run_module(ovs_port_security.main, args(port(TWO)))["changed"]


def test_port_security_is_switched_off(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    assert run_module(ovs_port_security.main, args(port(port_security_enabled=False)))["changed"]
    assert not cookies(host) and not kind.OvsPortSecurity().marks()


@pytest.mark.parametrize("renumbered", ["in_port=5", f'in_port="{PATCH}"'])
def test_flows_of_a_removed_port_do_not_act_on_the_next_with_its_number(run_module, host, renumbered):
    run_module(ovs_port_security.main, args(port()))
    wanted = dict(host.switch.actions)
    host.switch.actions = {
        (name, table, match.replace(f'in_port="{TAP}"', renumbered)): text
        for (name, table, match), text in wanted.items()
    }
    host.switch.actions[cookie(TWO), 1, f'priority=99,in_port="{TAP}"'] = "resubmit(,7)"
    assert run_module(ovs_port_security.main, args(port()))["changed"]
    assert host.switch.actions == wanted


def test_flows_that_the_switch_has_forgotten_are_restored(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    before = dict(host.switch.actions)
    host.switch.actions.clear()
    assert run_module(ovs_port_security.main, args(port()))["by_id"][NET]["action"] == "update"
    assert host.switch.actions == before


def test_a_refused_bundle_fails_only_its_network(run_module, host, programs):
    def refuse(argv, stdin=""):
        if cookie(ONE) in stdin:
            raise ItemError("ovs-ofctl failed (1): no")
        return host.switch(argv, stdin)

    programs["ovs-ofctl"] = refuse
    other = {"id": TWO, "ports": [port(TWO)]}
    answer = run_module(ovs_port_security.main, {"networks": [*args(port())["networks"], other]})
    assert "no" in answer["by_id"][NET]["error"] and "error" not in answer["by_id"][TWO]


def test_the_unit_that_restores_flows_is_repaired(run_module, host):
    run_module(ovs_port_security.main, args(port()))
    unit = host.root / "system" / UNIT_NAME
    text = unit.read_text()
    unit.write_text("[Unit]\n")
    answer = run_module(ovs_port_security.main, args(port()))
    assert unit.read_text() == text
    assert answer["commands"] == [["systemctl", "enable", UNIT_NAME]], "flows that are right stay"
    assert not run_module(ovs_port_security.main, args(port()))["changed"]

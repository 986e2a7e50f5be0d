"""Flows of security groups: what they let pass is in tests/lab, which sends frames."""

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import group_flows
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import SECURITY_GROUPS, cookie, load, loaded
from ansible_collections.skywright.cloud.plugins.modules import ovs_security_group
from kinds.hosts.ovs_security_group import SSH, Host

ONE, TWO = "5a0b0c0d-0000-4000-8000-000000000001", "5a0b0c0d-0000-4000-9000-000000000002"
NOTHING = dict.fromkeys(("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id"))
HERE, REMOTE = loaded(ONE, 1), loaded(TWO, 2)
ALLOW = " actions=load:0x1->NXM_NX_REG1[]"


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


def group(identifier=ONE, **changes):
    return {"id": identifier, "rules": [SSH], "generation": 1, **changes}


def converge(run_module, *groups, **options):
    return run_module(ovs_security_group.main, {"security_groups": list(groups)}, **options)


def rule(**changes):
    return {**NOTHING, "direction": "ingress", "ethertype": "IPv4", **changes}


def flows(one):
    """The flows of a rule, without cookie and action."""
    texts = group_flows.rules({"id": ONE, "rules": [one]})[group_flows.describe(one)]
    start = f"cookie={cookie(SECURITY_GROUPS, ONE)}, "
    assert all(text.startswith(start) and text.endswith(ALLOW) for text in texts)
    return {text[len(start) : -len(ALLOW)] for text in texts}


RULES = [
    ({}, f"table=21, priority=10,ip,{HERE}"),
    ({"direction": "egress", "ethertype": "IPv6"}, f"table=11, priority=10,ipv6,{HERE}"),
    ({"protocol": "udp", "remote_ip_prefix": "10.1.2.3/8"}, f"table=21, priority=10,udp,{HERE},nw_src=10.0.0.0/8"),
    ({"protocol": "6", "remote_ip_prefix": "0.0.0.0/0"}, f"table=21, priority=10,tcp,{HERE}"),
    (
        {"direction": "egress", "ethertype": "IPv6", "protocol": "tcp", "remote_ip_prefix": "fd00::1/128"},
        f"table=11, priority=10,tcp6,{HERE},ipv6_dst=fd00::1",
    ),
    (
        {"protocol": "vrrp", "remote_ip_prefix": "10.0.0.1/32"},
        f"table=21, priority=10,ip,{HERE},nw_src=10.0.0.1,nw_proto=112",
    ),
    ({"protocol": "icmp", "ethertype": "IPv6"}, f"table=21, priority=10,icmp6,{HERE}"),
    ({"protocol": "icmpv6", "ethertype": "IPv4"}, f"table=21, priority=10,ip,{HERE},nw_proto=58"),
    ({"protocol": "tcp", "remote_group_id": TWO}, f"table=23, priority=10,tcp,{HERE},{REMOTE}"),
    ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 65535}, f"table=21, priority=10,tcp,{HERE}"),
]


@pytest.mark.parametrize(("changes", "flow"), RULES)
def test_a_rule_is_one_flow(changes, flow):
    assert flows(rule(**changes)) == {flow}


PORTS = [
    ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, "tcp", "tp_dst=22", "6,ct_tp_dst=22"),
    (
        {"protocol": "sctp", "port_range_min": 8, "port_range_max": 11},
        "sctp",
        "tp_dst=0x8/0xfffc",
        "132,ct_tp_dst=0x8/0xfffc",
    ),
    ({"protocol": "icmp", "port_range_min": 8}, "icmp", "icmp_type=8", "1,ct_tp_src=8"),
    (
        {"protocol": "1", "port_range_min": 3, "port_range_max": 0},
        "icmp",
        "icmp_type=3,icmp_code=0",
        "1,ct_tp_src=3,ct_tp_dst=0",
    ),
]


@pytest.mark.parametrize(("changes", "name", "match", "tracked"), PORTS)
def test_first_fragments_match_by_the_ports_of_their_connection(changes, name, match, tracked):
    assert flows(rule(**changes)) == {
        f"table=21, priority=10,{name},{HERE},{match}",
        f"table=21, priority=10,ct_state=-inv+trk,ct_nw_proto={tracked},ip,{HERE},nw_frag=first",
    }


@pytest.mark.parametrize(
    "limits", [(1, 65535), (0, 65535), (0, 0), (1000, 1023), (1000, 1024), (65535, 65535), (7, 4096)]
)
def test_ports_of_a_range(limits):
    """Blocks that cover the range, and nothing twice."""
    covered = []
    for match in group_flows.port_matches(*limits):
        value, _, mask = match.removeprefix(",tp_dst=").partition("/")
        size = 2**16 - int(mask or ("0xffff" if match else "0"), 0)
        start = int(value or "0", 0)
        assert start % size == 0
        covered += range(start, start + size)
    assert covered == list(range(limits[0], limits[1] + 1))
    assert len(group_flows.port_matches(*limits)) <= 30


def test_rules_look_up_the_groups_that_they_name():
    found = group_flows.rules({"id": ONE, "rules": [rule(), rule(remote_group_id=TWO), rule(direction="egress")]})
    (visits,) = found[f"ingress rules, also for the members of {TWO}"]
    assert visits.endswith(f"table=20, priority=10,{HERE} actions=resubmit(,21),{load(TWO, 2)},resubmit(,22)")
    (visits,) = found["egress rules"]
    assert visits.endswith(f"table=10, priority=10,{HERE} actions=resubmit(,11)")


def test_members_are_at_the_other_end_in_both_directions():
    found = group_flows.members({"id": TWO, "members": ["10.0.0.5", "fd00::/64", "0.0.0.0/0"]})
    assert {address: {text.partition(", ")[2] for text in texts} for address, texts in found.items()} == {
        "10.0.0.5/32": {
            f"table=12, priority=10,ip,{REMOTE},nw_dst=10.0.0.5 actions=resubmit(,13)",
            f"table=22, priority=10,ip,{REMOTE},nw_src=10.0.0.5 actions=resubmit(,23)",
        },
        "fd00::/64": {
            f"table=12, priority=10,ipv6,{REMOTE},ipv6_dst=fd00::/64 actions=resubmit(,13)",
            f"table=22, priority=10,ipv6,{REMOTE},ipv6_src=fd00::/64 actions=resubmit(,23)",
        },
        "0.0.0.0/0": {
            f"table=12, priority=10,ip,{REMOTE} actions=resubmit(,13)",
            f"table=22, priority=10,ip,{REMOTE} actions=resubmit(,23)",
        },
    }


def test_a_changed_rule_is_one_change_of_flows(run_module, host):
    converge(run_module, group(rules=[SSH, rule()]))
    [command] = converge(run_module, group(rules=[SSH, rule(), rule(protocol="udp")], generation=2))["commands"]
    assert [line.split(", ", 1)[1] for line in command[4:]] == [f"table=21, priority=10,udp,{HERE}{ALLOW}"]
    [command] = converge(run_module, group(generation=3))["commands"]
    assert len(command[4:]) == 2 and all(line.startswith("flow delete_strict cookie=") for line in command[4:])


def test_the_difference_names_rules_and_members(run_module, host):
    converge(run_module, group(members=["10.0.0.5"]))
    change = group(rules=[rule(protocol="udp")], members=["10.0.0.6"], generation=2)
    diff = converge(run_module, change, check=True)["by_id"][ONE]["diff"]
    ssh, udp = "ingress IPv4 tcp 22:22 from any address", "ingress IPv4 udp from any address"
    assert diff["before"] == {
        "generation": 1,
        "rules": [ssh, "ingress rules"],
        "members": ["10.0.0.5/32"],
        "others": [],
        "saved": True,
    }
    assert diff["after"]["rules"] == [udp, "ingress rules"] and diff["after"]["members"] == ["10.0.0.6/32"]


def test_a_newer_group_stays(run_module, host):
    """Runs with items of different age end in any order."""
    converge(run_module, group(generation=5))
    made = host.state()
    answer = converge(run_module, group(rules=[], generation=4))
    assert (answer["changed"], answer["by_id"][ONE]["status"]) == (False, "present")
    host.switch.actions.clear()
    assert converge(run_module, group(rules=[], generation=4))["by_id"][ONE]["action"] == "update"
    assert host.state() == made, "it is also what is restored"


def test_groups_with_the_same_cookie_do_not_touch_each_other(run_module, host):
    """A cookie has only the first 40 bits of an id."""
    converge(run_module, group(members=["10.0.0.5"]), group(TWO, members=["10.0.0.6"]))
    assert len({name for name, _table, _match in host.switch.actions}) == 1
    made = dict(host.switch.actions)
    assert not converge(run_module, group(members=["10.0.0.5"]), group(TWO, members=["10.0.0.6"]))["changed"]
    converge(run_module, {"id": TWO, "state": "absent"})
    assert host.switch.actions == {
        key: text for key, text in made.items() if HERE in key[2] or loaded(ONE, 2) in key[2]
    }


def test_flows_that_no_rule_has_are_removed(run_module, host):
    converge(run_module, group())
    made = dict(host.switch.actions)
    stray = cookie(SECURITY_GROUPS, ONE), 21, f"priority=10,udp,{HERE}"
    host.switch.actions[stray] = ALLOW.removeprefix(" actions=")
    answer = converge(run_module, group())
    assert answer["by_id"][ONE]["diff"]["before"]["others"] and host.switch.actions == made


def test_a_host_without_the_bridge_has_no_group_yet(run_module, host, programs):
    programs["ovs-ofctl"] = lambda argv, stdin="": _refuse()
    assert converge(run_module, group(), check=True)["by_id"][ONE]["action"] == "create"
    assert "not a bridge" in converge(run_module, group())["by_id"][ONE]["error"]


def _refuse():
    raise ItemError("ovs-ofctl failed (1): ovs-ofctl: br-sec is not a bridge or a socket")

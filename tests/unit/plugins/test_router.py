"""Routers: what their rules do to packets is in tests/lab, which sends some."""

import struct

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils import router_kernel
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.host_run import HostRun
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.router import Router
from ansible_collections.skywright.cloud.plugins.module_utils.router_rules import marks, rules
from ansible_collections.skywright.cloud.plugins.modules import router
from kinds.fake_host import FIRST, SECOND
from kinds.hosts import ovs_network
from kinds.hosts.router import FLOATING, FORWARDING, INSIDE, OUTSIDE, Host

NAME = f"router-{FIRST}"
INNER, EXTERNAL = "rt1a0b0c0d-00", "rt1a0b0c0d-01"
OUTSIDE_PORT = {**OUTSIDE, "port_id": "1a0b0c0d-0100-4000-8000-000000000002"}


@pytest.fixture
def host(tmp_path, programs, monkeypatch):
    return Host(tmp_path / "host", programs, monkeypatch)


@pytest.fixture
def converge(run_module, host):
    def run(check=False, **changes):
        return run_module(router.main, {"routers": [item(**changes)]}, check=check)

    return run


def item(**changes):
    """A router without a floating IP."""
    base = {"id": FIRST, "interfaces": [INSIDE, OUTSIDE_PORT], "snat_address": "203.0.113.10"}
    return {**base, "gateways": ["203.0.113.1"], **changes}


def full(**changes):
    """A router with all options."""
    defaults = {"admin_state_up": True, "enable_snat": True, "floating_ips": [], "port_forwardings": []}
    return {**defaults, **item(**changes)}


def chain(name, lines):
    start = lines.index(f"chain {name} {{")
    return lines[start + 2 : lines.index("}", start)]


def without_marks(lines):
    return [line.replace(f" ct mark set {mark}", "") for line in lines for mark in marks([line]) or [""]]


def test_internal_addresses_are_translated_only_outwards():
    assert without_marks(chain("postrouting", rules(full(), EXTERNAL))) == [
        f'oifname "{EXTERNAL}" snat ip to 203.0.113.10',
        f'iifname != "{EXTERNAL}" oifname != "{EXTERNAL}" ct status dnat masquerade',
    ]


@pytest.mark.parametrize("change", [{"enable_snat": False}, {"snat_address": None}])
def test_source_translation_is_switched_off(change):
    assert not any("snat ip to" in line for line in rules(full(**change), EXTERNAL))


def test_a_router_without_an_external_network_translates_nothing():
    lines = rules(full(interfaces=[INSIDE]), None)
    assert chain("prerouting", lines) == chain("forward", lines) == chain("postrouting", lines) == []


def test_a_floating_ip_is_translated_both_ways():
    lines = rules(full(floating_ips=[FLOATING]), EXTERNAL)
    assert without_marks(chain("prerouting", lines)) == ["ip daddr 203.0.113.20 dnat ip to 10.0.0.5"]
    first = without_marks(chain("postrouting", lines))[0]
    assert first == f'oifname "{EXTERNAL}" ip saddr 10.0.0.5 snat ip to 203.0.113.20'
    assert len(marks(lines)) == 2, "both directions carry the mark of the floating IP, source translation another one"


@pytest.mark.parametrize(
    ("outer", "inner", "found"),
    [
        ((8000, 8000), (80, 80), ["dport 8000 dnat ip to 10.0.0.6:80"]),
        ((8000, 8009), (80, 80), ["dport 8000-8009 dnat ip to 10.0.0.6:80"]),
        ((1, 65535), (1, 65535), ["dport 1-65535 dnat ip to 10.0.0.6"]),
        ((90, 91), (80, 81), ["dport 90 dnat ip to 10.0.0.6:80", "dport 91 dnat ip to 10.0.0.6:81"]),
    ],
)
def test_ranges_of_ports_are_forwarded_in_their_order(outer, inner, found):
    names = ("external_port_min", "external_port_max", "internal_port_min", "internal_port_max")
    entry = {**FORWARDING, **dict(zip(names, (*outer, *inner), strict=True))}
    lines = chain("prerouting", rules(full(port_forwardings=[entry]), EXTERNAL))
    assert without_marks(lines) == [f"ip daddr 203.0.113.30 tcp {text}" for text in found]


def test_a_router_that_is_down_forwards_nothing():
    lines = rules(full(admin_state_up=False), EXTERNAL)
    assert "type filter hook forward priority filter; policy drop;" in lines


def test_routes_have_an_order(host, converge):
    routes = [{"destination": "10.1.0.0/16", "nexthop": f"10.0.0.{number}"} for number in (9, 8)]
    routes.append({"destination": "fd01::/64", "nexthop": "fd00::9"})
    converge(routes=routes, gateways=["203.0.113.1", "203.0.113.2", "2001:db8::1"])
    assert host.namespaces[NAME].routes == {
        f"0.0.0.0/0 via 203.0.113.1 dev {EXTERNAL} proto static metric 1001 onlink",
        f"0.0.0.0/0 via 203.0.113.2 dev {EXTERNAL} proto static metric 1002 onlink",
        f"::/0 via 2001:db8::1 dev {EXTERNAL} proto static metric 1001 onlink",
        f"10.1.0.0/16 via 10.0.0.9 dev {INNER} proto static metric 1",
        f"10.1.0.0/16 via 10.0.0.8 dev {INNER} proto static metric 2",
        f"fd01::/64 via fd00::9 dev {INNER} proto static metric 1",
    }


def test_a_new_floating_ip_is_announced_before_it_is_added(host, converge, programs):
    converge()
    assert host.announced == [], "an interface that comes up announces its addresses itself"
    ip, before = programs["ip"], []
    programs["ip"] = lambda argv, *stdin: (before.append(list(host.announced)), ip(argv, *stdin))[1]
    converge(floating_ips=[FLOATING])
    assert host.announced == before[-1] == [(EXTERNAL, "fa:16:3e:00:00:02", "203.0.113.20")]
    assert "203.0.113.20/32" in host.namespaces[NAME].links[EXTERNAL]["addresses"]


def test_a_removed_floating_ip_is_not_announced_once_more(converge):
    """The kernel announces all addresses of an interface whose MAC address is set, also if that stays the same."""
    converge(floating_ips=[FLOATING])
    lines = [line for command in converge()["commands"] for line in command if EXTERNAL in line]
    assert f"address delete 203.0.113.20/32 dev {EXTERNAL}" in lines
    assert not any(line.startswith("link set") for line in lines)


def test_only_connections_of_removed_translations_are_cut(host, converge):
    converge(floating_ips=[FLOATING], port_forwardings=[FORWARDING])
    old = set(host.namespaces[NAME].connections)
    moved = {**FLOATING, "fixed_ip_address": "10.0.0.7"}
    answer = converge(floating_ips=[moved], port_forwardings=[FORWARDING])
    [mark] = [command[-1] for command in answer["commands"] if "conntrack" in command]
    found = host.namespaces[NAME]
    assert found.connections == marks(found.rules) and old - found.connections == {mark}


def test_connections_are_stopped_until_they_are_cut(host, converge, monkeypatch):
    converge(floating_ips=[FLOATING])
    monkeypatch.setattr(router_kernel, "cut", lambda mark: (_ for _ in ()).throw(OSError("no")))
    assert converge()["by_id"][FIRST]["error"] == "no"
    [drop] = chain("forward", host.namespaces[NAME].rules)
    assert drop.startswith("ct mark 0x") and drop.endswith(" drop")
    monkeypatch.setattr(router_kernel, "cut", host._cut)
    assert converge()["by_id"][FIRST]["action"] == "update"
    assert chain("forward", host.namespaces[NAME].rules) == [] and not converge()["changed"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: one.rules.clear(),
        lambda one: one.rules.append("table ip mine {"),
        lambda one: one.routes.clear(),
        lambda one: one.routes.add(f"10.9.0.0/16 via 10.0.0.9 dev {INNER} proto static metric 7"),
        lambda one: one.links.pop(INNER),
        lambda one: one.links[INNER].update(up=False),
        lambda one: one.links[INNER].update(mtu="1400"),
        lambda one: one.links[INNER]["addresses"].pop(),
        lambda one: one.links[INNER]["addresses"].append("10.8.0.1/24"),
    ],
)
def test_changes_by_hand_are_found_and_repaired(host, converge, damage):
    converge()
    before = host.state()
    damage(host.namespaces[NAME])
    assert converge(check=True)["by_id"][FIRST]["action"] == "update"
    assert converge()["by_id"][FIRST]["action"] == "update"
    assert host.state() == before and not converge()["changed"]


def test_parameters_are_set_in_the_namespace(host, converge):
    converge()
    file = host.root / "parameters" / NAME / "ipv4/ip_forward"
    file.write_text("0\n")
    [command] = converge()["commands"]
    assert command[2:5] == ["sysctl", "-w", "net.ipv4.ip_forward=1"] and file.read_text() == "1"


def test_what_an_interrupted_ip_left_is_replaced(host, converge):
    (host.directory / NAME).touch()
    assert converge()["by_id"][FIRST]["action"] == "update"
    assert host.namespaces[NAME].links.keys() == {INNER, EXTERNAL}


def test_its_networks_may_take_its_interfaces_while_it_is_removed(host, run_module, converge, programs):
    converge()
    ip = programs["ip"]

    def without_devices(argv, *stdin):
        if "-force" in argv:
            host.namespaces[NAME].links.clear()
            raise ItemError("ip failed (1): Cannot find device")
        return ip(argv, *stdin)

    programs["ip"] = without_devices
    answer = run_module(router.main, {"routers": [{"id": FIRST, "state": "absent"}]})
    assert "failed" not in answer and host.namespaces == {}


def test_a_foreseen_run_knows_the_ports_that_go_before(host, converge):
    """The networks of a run remove a port with its device; then the router has nothing to remove any more."""
    converge(interfaces=[INSIDE, OUTSIDE_PORT])
    kind = Router()
    kind.gone = {OUTSIDE_PORT["port_id"]}
    found = kind.read([{"id": FIRST}])[FIRST]
    assert found["interfaces"].keys() == {INNER} and found["routes"] == []


def test_a_network_hands_on_the_ports_that_it_removes(tmp_path, programs, monkeypatch):
    network = ovs_network.Host(tmp_path / "switch", programs, monkeypatch)
    run = HostRun({}, {})
    part = type("Part", (), {"kind": network.kind(), "results": [], "state": "present"})
    gone = {"id": FIRST, "state": "absent"}
    part.items = [{"id": SECOND, "state": "present", "ports": [gone, {"id": SECOND, "state": "present"}]}]
    run.record(part)
    assert run.removed() == {FIRST}


def test_an_announcement_is_a_gratuitous_arp_request():
    frame = router_kernel.announcement("fa:16:3e:00:00:02", "203.0.113.20")
    assert frame[:6] == b"\xff" * 6 and struct.unpack("!HHHBBH", frame[12:22]) == (0x0806, 1, 0x0800, 6, 4, 1)
    assert frame[28:32] == frame[38:42] == bytes([203, 0, 113, 20]) and frame[22:28] == frame[6:12]

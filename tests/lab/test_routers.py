"""A router on a host, without a record: real connections between stations in its networks and outside."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.support import Host, Lab

pytestmark = pytest.mark.alone

SCRIPT = Path(__file__).with_name("stations.py").read_text()
# As playbooks/cloud.yml makes ids, so the drift of the checkout's cloud leaves them alone.
ONE, TWO, OUT = (f"7a0b0c0{digit}-0000-5000-8000-000000000001" for digit in "def")
PORTS = {network: f"8{network[1:]}" for network in (ONE, TWO, OUT)}
ROUTER = "9a0b0c0d-0000-5000-8000-000000000001"
NAMESPACE = f"router-{ROUTER}"
OUTER_VLAN = 703
FLOATING, FORWARDED = "203.0.113.20", "203.0.113.30"
TRACES = [ROUTER, ONE[:7], PORTS[ONE][:7], "namespace st-", ": st-", "port st-"]
MACS = {network: f"fa:16:3e:7a:00:0{number}" for number, network in enumerate(PORTS)}


def interface(network: str, *addresses: str) -> dict[str, Any]:
    external = network == OUT
    return {"port_id": PORTS[network], "mac": MACS[network], "mtu": 1450, "addresses": addresses, "external": external}


def router(**changes: Any) -> dict[str, Any]:
    """The router: 10.81.1.1 and 10.81.2.1, and 203.0.113.10 outside."""
    return {
        "id": ROUTER,
        "interfaces": [
            interface(ONE, "10.81.1.1/24", "fd81:1::1/64"),
            interface(TWO, "10.81.2.1/24", "fd81:2::1/64"),
            interface(OUT, "203.0.113.10/24", "2001:db8::10/64"),
        ],
        "gateways": ["203.0.113.1", "2001:db8::1"],
        "snat_address": "203.0.113.10",
        **changes,
    }


def networks(state: str, *gone: str) -> list[dict[str, Any]]:
    """The networks, which are only on one host, and the router's ports in them but for those in *gone*."""
    types = {
        ONE: {"type": "vxlan", "segmentation_id": 7_810_001},
        TWO: {"type": "gre", "segmentation_id": 7_810_002},
        OUT: {"type": "vlan", "segmentation_id": OUTER_VLAN, "physical_network": "physnet1"},
    }
    if state == "absent":
        return [{"id": network, "state": state} for network in types]
    items: list[dict[str, Any]] = [{"id": network, **found} for network, found in types.items()]
    for item in items:
        port = {"id": PORTS[item["id"]], "mac": MACS[item["id"]], "device": "veth"}
        item["ports"] = [{**port, "state": "absent" if item["id"] in gone else "present"}]
    return items


class Routed:
    """A host with the router and its stations: a and b in the first network, c in the second one, and out."""

    def __init__(self, lab: Lab, host: Host, directory: Path) -> None:
        self.lab, self.host, self.items = lab, host, directory / "items.json"

    def playbook(self, items: dict[str, Any], *options: str) -> Any:
        self.items.write_text(json.dumps({"skywright_items": {self.host.name: items}}))
        return self.lab.playbook("cloud/items", "-e", f"@{self.items}", "--limit", self.host.name, *options)

    def converge(self, *gone: str, **changes: Any) -> None:
        """Converge; then there is nothing left to change."""
        items = {"networks": networks("present", *gone), "routers": [router(**changes)]}
        self.playbook(items).assert_well(changed=True)
        self.playbook(items, "--check").assert_well(changed=False)

    def remove(self) -> None:
        items = {"networks": networks("absent"), "routers": [{"id": ROUTER, "state": "absent"}]}
        self.playbook(items).assert_well()

    def start(self) -> None:
        """Create the stations."""
        tags = {network: self.host.run(f"ovs-vsctl get port tap{PORTS[network][:11]} tag") for network in (ONE, TWO)}
        stations = [
            station("a", "br-int", tags[ONE], 5, "10.81.1.5/24", "fd81:1::5/64", "10.81.1.1", "fd81:1::1"),
            station("b", "br-int", tags[ONE], 6, "10.81.1.6/24", "fd81:1::6/64", "10.81.1.1", "fd81:1::1"),
            station("c", "br-int", tags[TWO], 7, "10.81.2.7/24", "fd81:2::7/64", "10.81.2.1", "fd81:2::1"),
            # Its routes to the networks are used only by IPv6, and without translation of sources.
            station("out", "br-phy", OUTER_VLAN, 8, "203.0.113.1/24", "2001:db8::1/64", "203.0.113.10", "2001:db8::10"),
        ]
        command = shlex.join(["python3", "-c", SCRIPT, json.dumps(stations)])
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process: subprocess.Popen[str] = subprocess.Popen([*self.host.ssh, command], **pipes)  # type: ignore[call-overload]
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        self.process.communicate(timeout=30)

    def ask(self, *request: str | int) -> str:
        """Let a station send, and return what it gets, or the name of an error; see stations.py."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def tcp(self, station: str, address: str, port: int = 80, *name: str) -> str:
        return self.ask(station, "tcp", address, port, *name)


def station(name: str, bridge: str, tag: str | int, number: int, *addresses: str) -> dict[str, Any]:
    mac = f"fa:16:3e:7a:01:0{number}"
    own, gateways = addresses[:2], addresses[2:]
    return {"name": name, "bridge": bridge, "tag": tag, "mac": mac, "addresses": own, "gateways": gateways}


@pytest.fixture(scope="module")
def routed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Routed]:
    found = Routed(lab, lab["host1"], tmp_path_factory.mktemp("items"))
    assert found.host.traces(TRACES) == []
    found.converge()
    found.start()
    yield found
    found.stop()
    found.remove()
    assert found.host.traces(TRACES) == []


def floating(fixed: str, address: str = FLOATING) -> dict[str, str]:
    return {"id": ROUTER, "floating_ip_address": address, "fixed_ip_address": fixed}


def forwarding(identifier: str, protocol: str, outer: tuple[int, int], target: str, inner: tuple[int, int]) -> Any:
    return {
        "id": identifier,
        "floating_ip_address": FORWARDED,
        "protocol": protocol,
        "external_port_min": outer[0],
        "external_port_max": outer[1],
        "internal_ip_address": target,
        "internal_port_min": inner[0],
        "internal_port_max": inner[1],
    }


def test_it_routes_between_its_networks_and_translates_outwards(routed: Routed) -> None:
    assert routed.tcp("a", "10.81.2.7") == "c:80 from 10.81.1.5"
    assert routed.tcp("a", "fd81:2::7") == "c:80 from fd81:1::5"
    assert routed.tcp("a", "203.0.113.1") == "out:80 from 203.0.113.10"
    assert routed.tcp("a", "2001:db8::1") == "out:80 from fd81:1::5"
    assert routed.tcp("out", "fd81:2::7") == "c:80 from 2001:db8::1"


def test_a_floating_ip_moves_and_only_its_connections_are_cut(routed: Routed) -> None:
    assert routed.tcp("a", "10.81.2.7", 80, "inside") == "c:80 from 10.81.1.5"
    assert routed.tcp("b", "203.0.113.1", 80, "translated") == "out:80 from 203.0.113.10"
    routed.converge(floating_ips=[floating("10.81.1.5")])
    assert routed.tcp("out", FLOATING, 80, "inbound") == "a:80 from 203.0.113.1"
    assert routed.tcp("a", "203.0.113.1", 80, "outbound") == f"out:80 from {FLOATING}"
    assert routed.ask("out", "udp", FLOATING, 80, "datagrams") == "a:80 from 203.0.113.1"
    for client, source in (("b", "10.81.1.1"), ("c", "10.81.1.1"), ("a", "10.81.1.1")):
        assert routed.tcp(client, FLOATING) == f"a:80 from {source}", "also from inside, and by itself"
    routed.converge(floating_ips=[floating("10.81.2.7")])
    assert routed.tcp("out", FLOATING) == "c:80 from 203.0.113.1"
    assert routed.ask("datagrams") == "c:80 from 203.0.113.1", "a client with the same ports reaches the new server"
    assert routed.ask("inbound") == "ConnectionResetError" and "Error" in routed.ask("outbound")
    assert routed.ask("inside") == "c:80 from 10.81.1.5"
    assert routed.ask("translated") == "out:80 from 203.0.113.10"


def test_ports_of_a_floating_ip_are_forwarded(routed: Routed) -> None:
    one = forwarding("a", "tcp", (8000, 8002), "10.81.1.5", (80, 82))
    two = forwarding("b", "tcp", (9000, 9009), "10.81.2.7", (80, 80))
    three = forwarding("c", "udp", (80, 82), "10.81.1.6", (80, 82))
    routed.converge(port_forwardings=[one, two, three])
    assert routed.tcp("out", FORWARDED, 8002, "first") == "a:82 from 203.0.113.1"
    assert routed.tcp("out", FORWARDED, 9004, "second") == "c:80 from 203.0.113.1"
    assert routed.ask("out", "udp", FORWARDED, 81) == "b:81 from 203.0.113.1"
    assert routed.tcp("a", FORWARDED, 9000) == "c:80 from 10.81.2.1"
    assert routed.tcp("out", FORWARDED, 80) == "ConnectionRefusedError"
    routed.converge(port_forwardings=[two, three])
    assert routed.ask("first") == "ConnectionResetError"
    assert routed.ask("second") == "c:80 from 203.0.113.1"


def test_without_source_translation_addresses_are_seen_as_they_are(routed: Routed) -> None:
    routed.converge(enable_snat=False, floating_ips=[floating("10.81.2.7")])
    assert routed.tcp("a", "203.0.113.1") == "out:80 from 10.81.1.5"
    assert routed.tcp("c", "203.0.113.1") == f"out:80 from {FLOATING}"


def test_extra_routes_lead_to_their_next_hop(routed: Routed) -> None:
    routed.host.run("ip -n st-b address add 10.82.0.1/32 dev lo")
    routed.converge(routes=[{"destination": "10.82.0.0/24", "nexthop": "10.81.1.6"}])
    assert routed.tcp("c", "10.82.0.1") == "b:80 from 10.81.2.7"


def test_a_router_that_is_down_forwards_nothing_until_it_is_up(routed: Routed) -> None:
    assert routed.tcp("a", "10.81.2.7", 80, "inside") == "c:80 from 10.81.1.5"
    routed.converge(admin_state_up=False)
    assert routed.tcp("a", "10.81.2.7") == routed.tcp("a", "fd81:2::7") == routed.ask("inside") == "TimeoutError"
    routed.converge()
    assert routed.tcp("a", "10.81.2.7") == "c:80 from 10.81.1.5"


def test_a_router_may_lose_its_gateway(routed: Routed) -> None:
    inside = router()["interfaces"][:2]
    routed.converge(OUT, interfaces=inside, gateways=[], snat_address=None)
    assert routed.tcp("a", "203.0.113.1") == "OSError", "the network is unreachable"
    assert routed.tcp("a", "10.81.2.7") == "c:80 from 10.81.1.5"
    routed.converge()
    assert routed.tcp("a", "203.0.113.1") == "out:80 from 203.0.113.10"


@pytest.mark.parametrize(
    "damage",
    [
        [f"ip netns exec {NAMESPACE} nft flush ruleset"],
        [
            f"ip netns exec {NAMESPACE} nft add rule inet skywright forward ip daddr 10.81.2.7 drop",
            f"ip -n {NAMESPACE} address delete 203.0.113.10/24 dev rt{PORTS[OUT][:11]}",
            f"ip -n {NAMESPACE} -6 route delete default",
            f"ip -n {NAMESPACE} route add blackhole 10.81.2.7/32",
            f"ip netns exec {NAMESPACE} sysctl -qw net.ipv4.ip_forward=0",
        ],
        [f"ip link delete tap{PORTS[OUT][:11]}"],
        [f"ip netns delete {NAMESPACE}"],
        [f"umount /run/netns/{NAMESPACE}"],
    ],
    ids=["rules", "settings", "device", "namespace", "file"],
)
def test_damage_is_found_and_repaired(routed: Routed, damage: list[str]) -> None:
    routed.host.run(" && ".join(damage))
    items = {"networks": networks("present"), "routers": [router()]}
    routed.playbook(items, "--check").assert_well(changed=True)
    routed.converge()
    assert routed.tcp("a", "203.0.113.1") == "out:80 from 203.0.113.10"
    assert routed.tcp("a", "10.81.2.7") == "c:80 from 10.81.1.5"

"""Servers send frames only from their own addresses: real frames, at the taps of servers that are off."""

import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from lab import frames
from lab.support import ACTIVE_SECONDS, Host, Lab, Made, eventually

SCRIPT = Path(__file__).with_name("tap_frames.py").read_text()
SECONDS = 2
STRANGER = "fa:16:3e:66:66:66"
ALSO = "10.83.0.100"  # becomes an allowed address
END = "end"
# The switch forgets its old decisions every half a second, and after its start it first looks for tunnels' ends.
IN_FORCE_SECONDS = 20


class Station:
    """A server's port, with its host."""

    def __init__(self, cloud: Connection, lab: Lab, server: Any) -> None:
        self.server = server
        self.host: Host = lab[server.compute_host]
        (self.port,) = cloud.network.ports(device_id=server.id)
        self.mac = self.port.mac_address
        self.ipv4, self.ipv6 = sorted((entry["ip_address"] for entry in self.port.fixed_ips), key=lambda ip: ":" in ip)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = shlex.join(["python3", "-c", SCRIPT, f"tap{self.port.id[:11]}", *arguments])
        return subprocess.Popen([*self.host.ssh, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def arrived(sender: Station, receiver: Station, sent: Mapping[str, bytes]) -> set[str]:
    """Send frames, and then one that is allowed; return the names of those that arrive until that one."""
    every = {**sent, END: frames.udp(sender.mac, sender.ipv4, receiver.ipv4)}
    marks = {name: f"<{name}>".encode() for name in every}
    with receiver.start("receive", f"<{END}>", str(SECONDS)) as listening:
        assert listening.stdout and listening.stdout.readline() == "ready\n"
        with sender.start("send") as sending:
            sending.communicate("".join(f"{(every[name] + marks[name]).hex()}\n" for name in every), timeout=SECONDS)
        received, _ = listening.communicate(timeout=2 * SECONDS)
    found = [bytes.fromhex(line) for line in received.split()]
    return {name for name, mark in marks.items() if any(frame.endswith(mark) for frame in found)}


def assert_passing(sender: Station, receiver: Station, sent: Mapping[str, bytes], wanted: Iterable[str]) -> None:
    """Wait until the *wanted* ones of the sent frames arrive, and no others."""
    expected, answers = {*wanted, END}, list[set[str]]()

    def passing() -> bool:
        answers.append(arrived(sender, receiver, sent))
        return answers[-1] == expected

    eventually(passing, IN_FORCE_SECONDS, f"{sorted(expected)} pass, not {answers}")


@pytest.fixture(scope="module")
def stations(made_for_all: Made, lab: Lab, cloud: Connection, blank: str) -> tuple[Station, Station]:
    """Two servers on two hosts that are off: their taps stay on the switch."""
    made = made_for_all
    network = made.network("10.83.0.0/24")
    cloud.network.create_subnet(network_id=network.id, ip_version=6, cidr="fd83::/64", enable_dhcp=False)
    servers = [made.server([network], host, image_id=blank) for host in ("host1", "host2")]
    made.active(*servers)
    for server in servers:
        cloud.compute.stop_server(server.id)
    first, second = (Station(cloud, lab, made.status(server, "SHUTOFF")) for server in servers)
    return first, second


def own(one: Station, target: str) -> dict[str, bytes]:
    """What a server may send."""
    local = frames.link_local(one.mac)
    return {
        "IPv4": frames.udp(one.mac, one.ipv4, target),
        "IPv6": frames.udp(one.mac, one.ipv6, "fd83::2"),
        "link-local": frames.udp(one.mac, local, "fe80::2"),
        "ARP": frames.arp(one.mac, one.mac, one.ipv4),
        "ARP probe": frames.arp(one.mac, one.mac, "0.0.0.0", one.ipv4),
        "neighbour": frames.neighbour(one.mac, one.ipv6, one.ipv6),
        "DHCP client": frames.udp(one.mac, "0.0.0.0", "255.255.255.255", (68, 67)),
        "DHCPv6 client": frames.udp(one.mac, local, "ff02::1:2", (546, 547)),
    }


def spoofed(one: Station, target: str) -> dict[str, bytes]:
    """What a server must not send."""
    return {
        "MAC": frames.udp(STRANGER, one.ipv4, target),
        "foreign IPv4": frames.udp(one.mac, "10.83.0.99", target),
        "foreign IPv6": frames.udp(one.mac, "fd83::99", "fd83::2"),
        "foreign ARP": frames.arp(one.mac, one.mac, target),
        "MAC in ARP": frames.arp(one.mac, STRANGER, one.ipv4),
        "foreign neighbour": frames.neighbour(one.mac, one.ipv6, "fd83::99"),
        "DHCP server": frames.udp(one.mac, one.ipv4, "255.255.255.255", (67, 68)),
        "DHCPv6 server": frames.udp(one.mac, frames.link_local(one.mac), "ff02::1", (547, 546)),
        "router": frames.router(one.mac, frames.link_local(one.mac)),
        "protocol": frames.ethernet(one.mac, 0x88B5, b""),
    }


def settled(cloud: Connection, server: Any) -> None:
    """Wait until no job of the server is left."""
    api = cloud.session.get_endpoint(service_type="operations", interface="public")

    def idle() -> bool:
        jobs = cloud.session.get(f"{api}/jobs", params={"resource": server.id}).json()["jobs"]
        return all(job["finished_at"] for job in jobs)

    eventually(idle, ACTIVE_SECONDS, f"the jobs of {server.id} end")


def test_spoofed_frames_are_dropped(stations: tuple[Station, Station]) -> None:
    one, two = stations
    allowed, forbidden = own(one, two.ipv4), spoofed(one, two.ipv4)
    assert_passing(one, two, allowed | forbidden, allowed)
    allowed, forbidden = own(two, one.ipv4), spoofed(two, one.ipv4)
    assert_passing(two, one, allowed | forbidden, allowed)


def test_allowed_address_pairs_pass(stations: tuple[Station, Station], cloud: Connection) -> None:
    one, two = stations
    also = {
        "another IPv4": frames.udp(one.mac, ALSO, two.ipv4),
        "another ARP": frames.arp(one.mac, one.mac, ALSO),
        "another MAC": frames.udp("00:00:5e:00:01:07", "10.83.0.200", two.ipv4),
    }
    assert_passing(one, two, also, [])
    pairs = [{"ip_address": ALSO}, {"ip_address": "10.83.0.192/26", "mac_address": "00:00:5e:00:01:07"}]
    cloud.network.update_port(one.port.id, allowed_address_pairs=pairs)
    settled(cloud, one.server)
    assert_passing(one, two, also | spoofed(one, two.ipv4), also)
    cloud.network.update_port(one.port.id, allowed_address_pairs=[])
    settled(cloud, one.server)
    assert_passing(one, two, also, [])


def test_a_port_without_port_security_sends_everything(stations: tuple[Station, Station], cloud: Connection) -> None:
    one, two = stations
    allowed = own(one, two.ipv4)
    every = allowed | spoofed(one, two.ipv4)
    cloud.network.update_port(one.port.id, is_port_security_enabled=False)
    settled(cloud, one.server)
    assert_passing(one, two, every, every)
    cloud.network.update_port(one.port.id, is_port_security_enabled=True)
    settled(cloud, one.server)
    assert_passing(one, two, every, allowed)


@pytest.mark.alone
def test_flows_are_restored_when_the_switch_restarts(stations: tuple[Station, Station]) -> None:
    one, two = stations
    one.host.run("systemctl restart ovs-vswitchd")
    unit = "skywright-port-security.service"
    ended = f"systemctl show -P ActiveState {unit} | grep -qx inactive && systemctl show -P Result {unit}"
    eventually(lambda: one.host.run(ended, check=False) == "success", ACTIVE_SECONDS, "the flows are restored")
    allowed = own(one, two.ipv4)
    assert_passing(one, two, allowed | spoofed(one, two.ipv4), allowed)

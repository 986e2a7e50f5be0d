"""Security groups on hosts: what passes between namespaces that are plugged in like servers."""

import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lab.support import Host, Lab, eventually

pytestmark = pytest.mark.alone  # what has no record in the cloud is a leftover for other tests

SCRIPT = Path(__file__).with_name("connections.py").read_text()
OPEN, ALSO, LATER, CLOSED = 5001, 5002, 5003, 5004  # ports
OUT = [{"direction": "egress"}, {"direction": "egress", "ethertype": "IPv6"}]
MTU = 1450
IN_FORCE_SECONDS = 1
Rule = dict[str, Any]


def ingress(protocol: str, low: int | None = None, high: int | None = None, **more: Any) -> Rule:
    ports = {} if low is None else {"port_range_min": low, "port_range_max": low if high is None else high}
    return {"direction": "ingress", "protocol": protocol, **ports, **more}


class Station:
    """A namespace on a host with a port of a network."""

    def __init__(self, host: Host, network: str, number: int) -> None:
        self.host, self.network, self.id = host, network, str(uuid4())
        self.ipv4, self.ipv6, self.mac = f"10.84.0.{number}", f"fd84::{number}", f"fa:16:3e:84:00:{number:02x}"
        self.settings: dict[str, Any] = {"port_security_enabled": True}

    @property
    def item(self) -> dict[str, Any]:
        own = {"id": self.id, "mac": self.mac, "device": "veth", "addresses": [self.ipv4, self.ipv6]}
        return {**own, **self.settings}

    def plug(self) -> None:
        name, device = self.id, f"rt{self.id[:11]}"
        self.host.run(
            f"""set -e; ip netns add {name}; ip link set dev {device} netns {name}; ip netns exec {name} sh -ec '
            sysctl -q net.ipv6.conf.{device}.accept_dad=0; ip link set dev {device} address {self.mac} mtu {MTU} up
            ip link set dev lo up; ip address add {self.ipv4}/24 dev {device}
            ip address add {self.ipv6}/64 dev {device} nodad'"""
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = shlex.join(["ip", "netns", "exec", self.id, "python3", "-c", SCRIPT, *arguments])
        process = subprocess.Popen([*self.host.ssh, command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if arguments[0] != "ask":
            assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    def reaches(self, address: str, port: int, protocol: str = "tcp", size: int = 1) -> bool:
        with self.start("ask", protocol, address, str(port), str(size)) as asking:
            return asking.wait() == 0


class Cloud:
    """The networks and security groups of the test, on two hosts."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.generation = lab, 0
        self.networks = {str(uuid4()): 7_100_001 + number for number in range(2)}
        one, two = self.networks
        places = (("host1", one, 5), ("host2", one, 6), ("host2", one, 7), ("host1", two, 5), ("host2", two, 6))
        self.stations = [Station(lab[host], network, number) for host, network, number in places]
        self.groups: dict[str, dict[str, Any]] = {}

    def group(self, rules: list[Rule], *members: Station, identifier: str | None = None) -> str:
        """Declare a security group; return its id."""
        group, self.generation = identifier or str(uuid4()), self.generation + 1
        addresses = [address for one in members for address in (one.ipv4, one.ipv6)]
        self.groups[group] = {"id": group, "rules": rules, "members": addresses, "generation": self.generation}
        return group

    def converge(self, state: str = "present", *, check: bool = False) -> str:
        hosts = {one.host for one in self.stations}
        groups = [{**group, "state": state} for group in self.groups.values()]
        items = {host.name: {"security_groups": groups, "networks": self._networks(host, state)} for host in hosts}
        limit = ["--limit", ",".join(items), *(["--check"] if check else [])]
        run = self.lab.playbook("cloud/items", "-e", json.dumps({"skywright_items": items}), *limit)
        run.assert_well(changed=False if check else None)
        return run.text

    def _networks(self, host: Host, state: str) -> list[dict[str, Any]]:
        peers = [one.data_address for one in self.lab.hosts.values() if one is not host]
        return [
            {
                "id": network,
                "state": state,
                "segmentation_id": number,
                "mtu": MTU,
                "peers": peers,
                "ports": [one.item for one in self.stations if (one.host, one.network) == (host, network)],
            }
            for network, number in self.networks.items()
        ]

    def remove(self) -> None:
        for one in self.stations:
            one.host.run(f"ip netns delete {one.id}", check=False)
        self.converge("absent")
        assert self.lab.traces([*self.networks, *self.groups, *(one.id for one in self.stations)]) == []


@pytest.fixture(scope="module")
def cloud_of_groups(lab: Lab) -> Iterator[Cloud]:
    """Stations without security groups; each sends back what it gets."""
    made = Cloud(lab)
    with contextlib.ExitStack() as stack:
        stack.callback(made.remove)
        made.converge()
        for one in made.stations:
            one.plug()
            serving = stack.enter_context(one.start("serve", *map(str, (OPEN, ALSO, LATER, CLOSED))))
            stack.callback(serving.terminate)
        yield made


def test_rules_let_pass(cloud_of_groups: Cloud) -> None:
    made = cloud_of_groups
    client, server, other, *_ = made.stations
    assert client.reaches(server.ipv4, CLOSED), "without a list of security groups, all passes"
    rules = [ingress("tcp", OPEN), ingress("udp", OPEN, LATER), ingress("tcp", OPEN, ethertype="IPv6")]
    client.settings["security_groups"] = [made.group(OUT, client)]
    server.settings["security_groups"] = [made.group([*OUT, *rules], server)]
    other.settings["security_groups"] = []
    made.converge()
    made.converge(check=True)
    assert client.reaches(server.ipv4, OPEN) and client.reaches(server.ipv6, OPEN)
    assert not client.reaches(server.ipv4, ALSO) and not client.reaches(server.ipv6, ALSO)
    assert client.reaches(server.ipv4, LATER, "udp") and not client.reaches(server.ipv4, CLOSED, "udp")
    assert client.reaches(server.ipv4, LATER, "udp", 5000), "fragments pass"
    assert not client.reaches(server.ipv4, CLOSED, "udp", 5000)
    assert server.reaches(client.ipv4, OPEN) is False, "replies pass, nothing else"
    assert not client.reaches(other.ipv4, OPEN) and not other.reaches(client.ipv4, OPEN)


def test_a_remote_group_is_the_addresses_of_its_members(cloud_of_groups: Cloud) -> None:
    made = cloud_of_groups
    client, server, other, *overlapping = made.stations
    members = made.group(OUT, client)
    client.settings["security_groups"] = other.settings["security_groups"] = [members]
    server.settings["security_groups"] = [made.group([*OUT, ingress("tcp", remote_group_id=members)], server)]
    made.converge()
    assert client.reaches(server.ipv4, OPEN) and not other.reaches(server.ipv4, OPEN)
    made.group(OUT, other, identifier=members)
    made.converge()
    assert not client.reaches(server.ipv4, OPEN) and other.reaches(server.ipv4, OPEN)
    for one in overlapping:  # the same addresses in another network
        one.settings["security_groups"] = [made.group(OUT, one)]
    made.converge()
    assert not overlapping[0].reaches(server.ipv4, OPEN) and not overlapping[0].reaches(overlapping[1].ipv4, OPEN)


def test_a_change_cuts_what_it_forbids_and_nothing_else(cloud_of_groups: Cloud) -> None:
    made = cloud_of_groups
    client, server, *_ = made.stations
    client.settings["security_groups"] = [made.group(OUT, client)]
    rules = [*OUT, ingress("tcp", OPEN), ingress("tcp", ALSO)]
    group = made.group(rules, server)
    server.settings["security_groups"] = [group]
    made.converge()
    kept, cut = (client.start("hold", server.ipv4, str(port), str(count)) for port, count in ((OPEN, 200), (ALSO, 1)))
    made.group([*OUT, ingress("tcp", OPEN), ingress("tcp", LATER)], server, identifier=group)
    made.converge()
    eventually(lambda: client.reaches(server.ipv4, LATER), IN_FORCE_SECONDS, "the new rule is in force")
    assert not client.reaches(server.ipv4, ALSO), "the removed rule is not"
    assert kept.communicate(timeout=30)[0] == "200 0\n", "no connection was reset, no segment sent again"
    assert cut.communicate(timeout=30)[0].startswith("0 ")


def test_wiped_flows_are_restored(cloud_of_groups: Cloud) -> None:
    made = cloud_of_groups
    client, server, *_ = made.stations
    server.settings["security_groups"] = [made.group([*OUT, ingress("tcp", OPEN)], server)]
    made.converge()
    server.host.run("ovs-ofctl del-flows br-sec")
    assert not client.reaches(server.ipv4, OPEN)
    made.converge()
    assert client.reaches(server.ipv4, OPEN) and not client.reaches(server.ipv4, ALSO)

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks by the facts of all hosts whether they can form a highly available cloud."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict

SYSTEM = "debian 12"
PYTHON = [3, 9]
CLOCK_SECONDS = 10
DISK_GIB = 5
MEMORY_MIB = {"controllers": 2000, "computes": 1000, "networks": 500}
OURS = "skywright"  # the prefix of the names of Skywright's processes
CERTIFICATE = re.compile(r"-+BEGIN CERTIFICATE-+\s+(.+?)\s+-+END CERTIFICATE-+", re.DOTALL)
# The ports of a controller besides those of the API, and the programs that may already listen on them.
API = frozenset({"haproxy", "python", "python3"})
PORTS = {
    3306: {"mariadbd", "haproxy"},
    4444: {"mariadbd", "socat", "rsync"},
    4567: {"mariadbd"},
    4568: {"mariadbd"},
    5671: {"beam.smp"},
    15692: {"beam.smp"},
    25672: {"beam.smp"},
    4369: {"epmd", "systemd", "beam.smp"},
    8404: {"haproxy"},
    9200: {"systemd"},
    11211: {"memcached"},
}


def preflight_hosts(names, hostvars):
    """Return the hosts with these inventory names in the form that C(preflight) expects."""
    hosts = []
    for name in names:
        known = hostvars[name]
        hosts.append(
            {
                "name": name,
                "address": known.get("ansible_host", name),
                "groups": [group for group in known["group_names"] if group in MEMORY_MIB],
                "data_interface": known.get("vswitch_data_interface"),
                "data_address": known.get("vswitch_data_address"),
                "facts": known.get("preflight_found", {}).get("preflight"),
            }
        )
    return hosts


def preflight(hosts, virtual_address, interface, api_ports, authority=""):
    """Return {host: {problems, warnings}} for C(hosts); C(authority) is the PEM of the cloud's CA, if it exists.

    Each is {name, address, groups, data_interface, data_address, facts}; a host without facts did not answer.
    """
    known = [host for host in hosts if host["facts"]]
    verdict = {host["name"]: {"problems": [], "warnings": []} for host in hosts}
    for host in known:
        verdict[host["name"]]["problems"] += _alone(host, api_ports)
        verdict[host["name"]]["problems"] += _network(host, interface)
        verdict[host["name"]]["warnings"] += _warnings(host)
    together = [*_together(known), *_clocks(known), *_virtual(known, virtual_address), *_strangers(known, authority)]
    for name, problem in together:
        verdict[name]["problems"].append(problem)
    return verdict


def _alone(host, api_ports):
    facts = host["facts"]
    yield from facts["errors"]
    if facts["system"] != SYSTEM:
        yield f"it runs {facts['system']}: {SYSTEM} is needed"
    if (facts["python"] or [0]) < PYTHON:
        yield "its Python is too old: 3.9 is needed"
    if (facts["disk_free_gib"] or 0) < DISK_GIB:
        yield f"{facts['disk_free_gib']} GiB are free in /var/lib: {DISK_GIB} GiB are needed"
    memory = max(MEMORY_MIB[group] for group in host["groups"])
    if (facts["memory_mib"] or 0) < memory:
        yield f"it has {facts['memory_mib']} MiB of memory: {memory} MiB are needed"
    for name, package in sorted((facts["packages"] or {}).items()):
        if not package["good"]:
            found = f"only {package['version']}" if package["version"] else "neither installed nor in a repository"
            yield f"package {name}: {found}"
    for name in facts["unresolved"] or ():
        yield f"it does not know the name {name}: look at its DNS"
    if "controllers" in host["groups"]:
        yield from _ports(facts["listeners"] or (), {**PORTS, **dict.fromkeys(api_ports, API)})


def _ports(listeners, ours):
    for port in sorted({entry["port"] for entry in listeners} & ours.keys()):
        # A program that listens on a loopback address is only in the way of services that bind to all addresses.
        programs = {str(entry["program"]) for entry in listeners if entry["port"] == port} - ours[port]
        others = sorted(program for program in programs if not program.startswith(OURS))
        if others:
            yield f"port {port} is taken by {', '.join(others)}"


def _network(host, interface):
    nics = host["facts"]["interfaces"] or {}
    if "controllers" in host["groups"]:
        if interface not in nics:
            yield f"it has no network interface {interface}"
        elif not any(address.startswith(host["address"] + "/") for address in nics[interface]["addresses"]):
            yield f"{host['address']} is not on {interface}, which is to have the virtual address"
    if {"computes", "networks"} & set(host["groups"]):
        if host["data_interface"] not in nics:
            yield f"it has no network interface {host['data_interface']}"
        yield from _overlaps(host, nics)


def _overlaps(host, nics):
    """No other interface has an address of the data network; br-phy may already have this host's address."""
    data = ipaddress.ip_interface(host["data_address"])
    for name, nic in sorted(nics.items()):
        if name in (host["data_interface"], "br-phy"):
            continue
        for address in nic["addresses"]:
            there = ipaddress.ip_interface(address)
            if there.version == data.version and there.network.overlaps(data.network):
                yield f"{address} on {name} is of the data network {data.network}"


def _warnings(host):
    if "computes" in host["groups"] and not host["facts"]["virtualization"]:
        why = "though its processor could have one" if host["facts"]["processor"] else "nor the flag vmx or svm"
        yield f"it has no /dev/kvm, {why}: its servers' processors will be emulated, which is slow"


def _together(hosts):
    """Values that must be unique among all hosts."""
    for what in ("hostname", "machine_id", "mac"):
        owners = defaultdict(set)
        for host in hosts:
            for value in _values(host["facts"], what):
                owners[value].add(host["name"])
        for value, names in sorted(owners.items()):
            for name in sorted(names) if len(names) > 1 else ():
                others = ", ".join(sorted(names - {name}))
                yield name, f"{what.replace('_', ' ')} {value} is that of {others}, too"


def _values(facts, what):
    if what != "mac":
        return [facts[what]] if facts[what] else []
    return [nic["mac"] for name, nic in (facts["interfaces"] or {}).items() if _is_real(name, nic["mac"])]


def _is_real(name, mac):
    """Bridges and taps of Open vSwitch may have equal names and addresses on several hosts."""
    return bool(mac) and mac != "00:00:00:00:00:00" and not name.startswith(("br-", "tap", "ovs-", "virbr", "vxlan"))


def _clocks(hosts):
    offsets = {host["name"]: host["facts"]["clock_offset"] for host in hosts}
    known = sorted(offset for offset in offsets.values() if offset is not None)
    for name, offset in sorted(offsets.items()):
        off = abs(offset - known[len(known) // 2]) if offset is not None else 0
        if off > CLOCK_SECONDS:
            yield name, f"its clock differs by {off:.0f} s from the others'"


def _virtual(hosts, virtual_address):
    """No host except a controller has the virtual address."""
    address = virtual_address.partition("/")[0]
    controllers = [host for host in hosts if "controllers" in host["groups"]]
    ours = {mac for host in controllers for mac in _macs(host)}
    for host in controllers:
        strangers = set(host["facts"]["holders"] or ()) - ours
        if strangers:
            yield host["name"], f"the virtual address {address} is taken by {', '.join(sorted(strangers))}"
    for host in hosts:
        there = [a for nic in (host["facts"]["interfaces"] or {}).values() for a in nic["addresses"]]
        if "controllers" not in host["groups"] and any(a.startswith(address + "/") for a in there):
            yield host["name"], f"it has the virtual address {address}"


def _strangers(hosts, authority):
    """Hosts that belong to another cloud; during a rotation, hosts trust two CAs."""
    ours = _certificates(authority)
    for host in hosts:
        theirs = _certificates(host["facts"]["authority"] or "")
        if theirs and not theirs & ours:
            yield host["name"], "it belongs to another cloud: delete that one, or remove /etc/skywright there"


def _certificates(pem):
    return set(CERTIFICATE.findall(pem))


def _macs(host):
    return [nic["mac"] for nic in (host["facts"]["interfaces"] or {}).values()]


class FilterModule:
    """The filters of playbooks/overcloud_preflight.yml."""

    def filters(self):
        """Return the filters."""
        return {"preflight": preflight, "preflight_hosts": preflight_hosts}

#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_preflight
short_description: Gather facts that decide whether a host can join a cloud
description:
  - Returns facts about a host before a cloud is deployed on it. The module changes nothing.
  - The filter C(preflight) checks the facts of all hosts together.
  - A fact that cannot be read is null, and C(errors) has the reason.
options:
  directory:
    description: The directory whose file system needs free space.
    type: path
    default: /var/lib
  reference:
    description: The controller's time at the start of the task, in seconds since 1970.
    type: float
    required: true
  packages:
    description: Packages that the deployment needs.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the package.
        type: str
        required: true
      version:
        description: The minimum version.
        type: str
        default: ''
  address:
    description: An address that no host of the network may have; the module sends an ARP request for it.
    type: str
  interface:
    description: The interface to send the ARP request from.
    type: str
  names:
    description: Names that the host must resolve, in addition to the hosts of its package sources.
    type: list
    elements: str
    default: []
  authority:
    description: The file of the CA certificates on a host that already belongs to a cloud.
    type: path
    default: /etc/skywright/tls/ca.pem
attributes:
  check_mode:
    description: It only reads.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Gather facts about the host
  skywright.cloud.host_preflight:
    reference: "{{ now().timestamp() }}"
    packages: [{name: haproxy, version: '2.6'}]
    address: 10.0.0.9
    interface: eth0
  register: preflight_found
"""

RETURN = r"""
preflight:
  description: The facts.
  returned: always
  type: dict
  sample:
    hostname: controller1
    machine_id: 0a0b0c0d000040008000000000000004
    system: debian 12
    python: [3, 11]
    clock_offset: 0.4
    disk_free_gib: 60.5
    memory_mib: 8192
    virtualization: true
    processor: true
    interfaces: {eth0: {mac: "52:54:00:00:00:01", addresses: [10.0.0.11/24]}}
    listeners: [{address: 10.0.0.11, port: 22, program: sshd}]
    packages: {haproxy: {version: 2.6.12-1, good: true}}
    holders: []
    unresolved: []
    authority: null
    errors: []
"""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text

GIB = 1024**3
SPEC = {
    "directory": {"type": "path", "default": "/var/lib"},
    "reference": {"type": "float", "required": True},
    "packages": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "version": {"type": "str", "default": ""}},
    },
    "address": {"type": "str"},
    "interface": {"type": "str"},
    "names": {"type": "list", "elements": "str", "default": []},
    "authority": {"type": "path", "default": "/etc/skywright/tls/ca.pem"},
}
FACTS = ("hostname", "machine_id", "system", "python", "clock_offset", "disk_free_gib", "memory_mib", "virtualization")
FACTS += ("processor", "authority")
LISTS = ("interfaces", "listeners", "packages", "holders", "unresolved")
PROGRAM = re.compile(r'"([^"]+)"')
ARP = 0x0806
REPLY = 2
ARP_SECONDS = 1.0


def identity(params):
    """The host's names, system and clock."""
    release = dict(line.split("=", 1) for line in (read_text("/etc/os-release") or "").splitlines() if "=" in line)
    system = " ".join(release.get(key, "").strip('"') for key in ("ID", "VERSION_ID"))
    return {
        "hostname": socket.gethostname().partition(".")[0],
        "machine_id": (read_text("/etc/machine-id") or "").strip(),
        "system": system,
        "python": list(sys.version_info[:2]),
        "clock_offset": round(time.time() - params["reference"], 3),
    }


def capacity(params):
    """Free disk space in GiB, memory in MiB, and support for virtualization."""
    disk = os.statvfs(params["directory"])
    memory = re.search(r"^MemTotal:\s+(\d+) kB", read_text("/proc/meminfo"), re.MULTILINE)
    return {
        "disk_free_gib": round(disk.f_bavail * disk.f_frsize / GIB, 1),
        "memory_mib": int(memory.group(1)) // 1024,
        "virtualization": os.path.exists("/dev/kvm"),
        "processor": bool(re.search(r"^flags\s*:.*\b(vmx|svm)\b", read_text("/proc/cpuinfo"), re.MULTILINE)),
    }


def interfaces(params):
    """The NICs with their addresses."""
    found = {}
    for link in json.loads(Runner().read(["ip", "-json", "address", "show"])):
        addresses = [f"{info['local']}/{info['prefixlen']}" for info in link["addr_info"]]
        found[link["ifname"]] = {"mac": link.get("address"), "addresses": addresses}
    return {"interfaces": found}


def listeners(params):
    """The listening TCP sockets with their programs."""
    found = []
    for line in Runner().read(["ss", "-Htlnp"]).splitlines():
        words = line.split(None, 5)
        address, _colon, port = words[3].rpartition(":")
        program = PROGRAM.search(words[5]) if len(words) > 5 else None
        found.append({"address": address, "port": int(port), "program": program.group(1) if program else None})
    return {"listeners": found}


def packages(params):
    """The installed version of each package, or the one that apt would install."""
    wanted = {package["name"]: package["version"] for package in params["packages"]}
    versions = {}
    name = None
    for line in Runner().read(["apt-cache", "policy", *wanted]).splitlines() if wanted else ():
        if not line.startswith(" "):
            name = line.rstrip(":")
        key, _colon, value = line.strip().partition(": ")
        if key in ("Installed", "Candidate") and value != "(none)":
            versions.setdefault(name, value)
    return {
        "packages": {
            name: {"version": versions.get(name), "good": name in versions and _is_new(versions[name], oldest)}
            for name, oldest in wanted.items()
        }
    }


def _is_new(version, oldest):
    argv = ["dpkg", "--compare-versions", version, "ge", oldest]
    return not oldest or subprocess.run(argv, check=False, timeout=10).returncode == 0


def unresolved(params):
    """The names that the host cannot resolve. With an apt proxy, the proxy resolves the package sources."""
    names = set(params["names"])
    if "Proxy" not in Runner().read(["apt-config", "dump", "Acquire::http::Proxy"]):
        sources = Runner().read(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split()
        names |= {urlsplit(source).hostname for source in sources} - {None}
    return {"unresolved": sorted(name for name in names if not _resolves(name))}


def _resolves(name):
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


def authority(params):
    """The CA certificates that the host trusts, if it belongs to a cloud."""
    return {"authority": read_text(params["authority"])}


def holders(params):
    """The MAC addresses of hosts that have the address."""
    if not params["address"] or not os.path.exists(f"/sys/class/net/{params['interface']}"):
        return {"holders": []}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as network:
        network.bind((params["interface"], ARP))
        network.send(arp_probe(network.getsockname()[4], params["address"]))
        end, found = time.monotonic() + ARP_SECONDS, set()
        while (left := end - time.monotonic()) > 0:
            network.settimeout(left)
            try:
                answer = arp_sender(network.recv(128), params["address"])
            except TimeoutError:
                break
            found |= {answer} - {None}
    return {"holders": sorted(found)}


def arp_probe(mac, address):
    """Return an ARP probe for the address: a request without a sender address (RFC 5227)."""
    ethernet = b"\xff" * 6 + mac + struct.pack("!H", ARP)
    return ethernet + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + bytes(4) + bytes(6) + socket.inet_aton(address)


def arp_sender(frame, address):
    """Return the MAC address of the sender if the frame is an ARP reply for the address, else None."""
    if len(frame) < 42 or struct.unpack("!H", frame[20:22])[0] != REPLY or frame[28:32] != socket.inet_aton(address):
        return None
    return ":".join(f"{byte:02x}" for byte in frame[22:28])


def main():
    """Gather the facts."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    found = {**dict.fromkeys(FACTS), **dict.fromkeys(LISTS), "errors": []}
    for part in (identity, capacity, interfaces, listeners, packages, unresolved, authority, holders):
        try:
            found.update(part(module.params))
        except (ItemError, OSError, ValueError) as error:
            found["errors"].append(f"{part.__name__}: {error}")
    module.exit_json(changed=False, preflight=found)


if __name__ == "__main__":
    main()

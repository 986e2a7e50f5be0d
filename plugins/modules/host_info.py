#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Capacity, versions and domains of a host
description:
  - Returns what the scheduler and the administrator need to know of a host, and every server's power state.
  - What cannot be read is null and explained in C(errors); this never fails.
options:
  contents:
    description: Whether to list also all that carries this cloud's marks.
    type: bool
    default: false
  directory:
    description: The file system that holds images and disks is the one of this directory.
    type: path
    default: /var/lib/skywright
extends_documentation_fragment:
  - skywright.cloud.kinds.settings
attributes:
  check_mode:
    description: It only reads.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: What the host has
  skywright.cloud.host_info:
  register: host
"""

RETURN = r"""
host:
  description: The host.
  returned: always
  type: dict
  sample:
    vcpus: 4
    memory_mib: 8192
    disk_gib: 100
    disk_free_gib: 60
    disk_overcommit_gib: 20
    libvirt_version: 9.0.0
    hypervisor_type: QEMU
    hypervisor_version: 7002022
    cpu_info:
      arch: x86_64
      model: EPYC
      vendor: AMD
      topology: {cells: 1, sockets: 1, cores: 4, threads: 1}
      maxphysaddr: {mode: emulate, bits: 48}
      features: [avx2, x2apic]
    ovs_version: 3.1.0
    uptime: "09:12:41 up 3 days,  2:05,  0 users,  load average: 0.20, 0.12, 0.14"
    boot: 1b4e28ba-2fa1-41d2-883f-0016d3cca427.12
    domains: [{id: 0a0b0c0d-0000-4000-8000-000000000004, power: running, reason: null}]
    contents:
      ovs_network: [{id: 0a0b0c0d-0000-4000-8000-000000000001, name: dh0a0b0c0d-00, port_id: null, peer: null}]
      dhcp_network: [{id: 0a0b0c0d-0000-4000-8000-000000000001, ports: []}]
      image_cache: []
      server_disk: [{id: 0a0b0c0d-0000-4000-8000-000000000004, disk: true, image_id: null}]
      libvirt_domain: [{id: 0a0b0c0d-0000-4000-8000-000000000004, power: running, reason: null}]
    errors: []
removal:
  description: The items with which M(skywright.cloud.host_items) would remove all that carries this cloud's marks.
  returned: if O(contents)
  type: dict
  sample:
    networks: [{id: 0a0b0c0d-0000-4000-8000-000000000001, state: absent}]
    servers: [{id: 0a0b0c0d-0000-4000-8000-000000000004, state: absent}]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, virtual_size
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import Hypervisor, is_null
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import LIBVIRT_URI, SETTINGS, make
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs

GIB = 1024**3
SPEC = {
    "directory": {"type": "path", "default": "/var/lib/skywright"},
    "contents": {"type": "bool", "default": False},
    **argument_specs(SETTINGS),
}
# libvirt's null driver runs nothing, so it never runs out of anything; its domains end with its connection.
NULL_HOST = {"vcpus": 4096, "memory_mib": 16 * 1024**2, "disk_gib": 1024**2, "disk_free_gib": 1024**2}
# What every answer has, null until it is read.
FACTS = (
    "vcpus",
    "memory_mib",
    "disk_gib",
    "disk_free_gib",
    "disk_overcommit_gib",
    "libvirt_version",
    "hypervisor_type",
    "hypervisor_version",
    "cpu_info",
    "domains",
    "ovs_version",
    "boot",
    "uptime",
)


def disk(directory):
    """Return the file system's size and free space, and how much of that the servers' disks may still take."""
    existing = directory
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    found = os.statvfs(existing)
    return {
        "disk_gib": found.f_blocks * found.f_frsize // GIB,
        "disk_free_gib": found.f_bavail * found.f_frsize // GIB,
        "disk_overcommit_gib": sum(_unwritten(path) for path in _disks(os.path.join(directory, "servers"))) // GIB,
    }


def _disks(servers):
    """Give the path of each server's disk."""
    names = os.listdir(servers) if os.path.isdir(servers) else []
    return [os.path.join(servers, name, "disk") for name in names]


def _unwritten(path):
    """Return the bytes by which a disk's file may still grow."""
    size = virtual_size(path)
    try:
        return max((size or 0) - os.stat(path).st_blocks * 512, 0)
    except FileNotFoundError:  # its server was deleted at this moment
        return 0


def virtualization(uri):
    """Ask libvirt for the host's capacity, its versions and its domains."""
    hypervisor = Hypervisor(uri)
    hypervisor.connect()
    host = hypervisor.facts()
    host["domains"] = None if hypervisor.null else hypervisor.servers()
    return {**host, **NULL_HOST} if hypervisor.null else host


def boot():
    """Tell this boot of the host from every other: the kernel's, and when the first process began (of a container)."""
    kernel, first = read_text("/proc/sys/kernel/random/boot_id"), read_text("/proc/1/stat")
    return {"boot": kernel.strip() + "." + first.rpartition(")")[2].split()[19]}


def uptime():
    """Return what the program of this name says."""
    return {"uptime": Runner().read(["uptime"]).strip()}


def switch():
    """Ask Open vSwitch for its version, such as 3.1.0."""
    return {"ovs_version": Runner().read(["ovs-vsctl", "--version"]).splitlines()[0].split()[-1]}


def contents(settings):
    """List what carries the cloud's marks, {kind: [mark]}; (that, why some could not be read and are null)."""
    found, errors = {}, []
    for kind in [] if is_null(settings[LIBVIRT_URI]) else KINDS:
        found[kind.name] = None
        try:
            found[kind.name] = make(kind, settings).marks()
        except (ItemError, OSError, ValueError) as error:
            errors.append(str(error))
    return found, errors


def removal(found):
    """Give the items that would remove *found*, in no order."""
    ids = {kind.items: set() for kind in KINDS}
    for kind in KINDS:
        ids[kind.items] |= {mark["id"] for mark in found.get(kind.name) or []}
    return {name: [{"id": one, "state": "absent"} for one in sorted(each)] for name, each in ids.items() if each}


def main():
    """Gather the facts."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    host = {**dict.fromkeys(FACTS), "errors": []}
    parts = (
        (disk, [params["directory"]]),
        (virtualization, [params[LIBVIRT_URI]]),
        (switch, []),
        (boot, []),
        (uptime, []),
    )
    for part, arguments in parts:
        try:
            host.update(part(*arguments))
        except (ItemError, OSError, ValueError) as error:
            host["errors"].append(str(error))
    if not params["contents"]:
        module.exit_json(changed=False, host=host)
    host["contents"], errors = contents(params)
    host["errors"] += [error for error in errors if error not in host["errors"]]
    module.exit_json(changed=False, host=host, removal=removal(host["contents"]))


if __name__ == "__main__":
    main()

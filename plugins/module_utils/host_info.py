# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What M(skywright.cloud.host_info) does."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils import processes
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, virtual_size
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import Hypervisor

GIB = 1024**3
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
    "address",
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


def address():
    """Return the address of this host that the worker's SSH connection has; without SSH, the loopback address.

    sudo removes the variable from the environment of its children.
    """
    pid = os.getpid()
    while pid:
        connection = processes.variable(pid, "SSH_CONNECTION")
        if connection:  # the client's address and port, this host's address and port
            return {"address": connection.split()[2]}
        _, pid = processes.name_and_parent(pid)
    return {"address": "127.0.0.1"}


def switch():
    """Ask Open vSwitch for its version, such as 3.1.0."""
    return {"ovs_version": Runner().read(["ovs-vsctl", "--version"]).splitlines()[0].split()[-1]}


def run(module):
    """Gather the facts."""
    params = module.params
    host = {**dict.fromkeys(FACTS), "errors": []}
    parts = (
        (disk, [params["directory"]]),
        (virtualization, [params["hypervisor_libvirt_uri"]]),
        (switch, []),
        (boot, []),
        (uptime, []),
        (address, []),
    )
    for part, arguments in parts:
        try:
            host.update(part(*arguments))
        except (ItemError, OSError, ValueError) as error:
            host["errors"].append(str(error))
    if not params["contents"]:
        module.exit_json(changed=False, host=host)
    # Only here: importing all kinds takes as long as reading the facts.
    from ansible_collections.skywright.cloud.plugins.module_utils.host_contents import contents, removal  # noqa: PLC0415

    host["contents"], errors = contents(params)
    host["errors"] += [error for error in errors if error not in host["errors"]]
    module.exit_json(changed=False, host=host, removal=removal(host["contents"]))

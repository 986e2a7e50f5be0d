# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One machine made by systemd-nspawn: an overlay over a shared tree, its own network namespace and cgroup.

The network namespace is made outside of systemd-nspawn, since the machine's network devices then have the names and
bridges they are given, and a machine that was killed leaves nothing that could not be found again by its name.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import time

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.mounts import mounted_below, remove_tree

# Where a cgroup of ours may be made: version 2 alone, or what a machine with version 1 has for it.
HIERARCHIES = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
# The machine's own nodes are not lent to it: the first thing that it did would be to change their owner. Who may open
# KVM is as udev has it elsewhere; libvirt probes QEMU before every definition (10 s) while only root can.
DEVICES = {"/dev/net/tun": "0666 root root - 10:200", "/dev/kvm": "0660 root kvm - 10:232"}
NSPAWN = "/run/systemd/nspawn"


def script(item, directory):
    """Write the shell script that runs the machine until it powers off."""
    space = item["name"]
    lines = ["#!/bin/sh", f"# Runs the machine {space}: again whenever it reboots, which systemd-nspawn tells by 133."]
    lines += [f"mkdir -p {group} && echo $$ > {group}/cgroup.procs" for group in cgroups(space)]
    lines += ["while"]
    lines += [f"  ip link delete {nic['device']} 2> /dev/null" for nic in item["nics"]]
    lines += [f"  ip netns delete {space} 2> /dev/null", f"  ip netns add {space}"]
    for nic in item["nics"]:
        peer = f"name {nic['name']} address {mac(nic['device'])} netns {space}"
        lines += [f"  ip link add {nic['device']} type veth peer {peer}"]
        lines += [f"  ip link set {nic['device']} master {nic['bridge']} up"]
    # Of /proc/sys the machine may write what belongs to its own network namespace, and nothing else.
    lines += [f"  SYSTEMD_NSPAWN_API_VFS_WRITABLE=network {shlex.join(_nspawn(space, directory))}"]
    lines += ["  [ $? -eq 133 ]", "do :; done", ""]
    return "\n".join(lines)


def _nspawn(space, directory):
    argv = ["nsenter", f"--net=/run/netns/{space}", "systemd-nspawn", "--quiet", "--boot", f"--machine={space}"]
    return [*argv, f"--directory={directory}/root", "--register=no", "--keep-unit", "--capability=all"]


def devices():
    """What the machine has to make at boot, for systemd-tmpfiles, out of the devices that are here."""
    return "".join(f"c! {path} {how}\n" for path, how in DEVICES.items() if os.path.exists(path))


def mac(device):
    """An address that stays: neighbours do not have to learn a machine anew when it comes back."""
    digest = hashlib.sha256(device.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def cgroups(name):
    """Where the machine's processes are kept, so that all of them can be found."""
    usable = [h for h in HIERARCHIES if os.path.exists(os.path.join(h, "cgroup.procs"))]
    return [os.path.join(hierarchy, name) for hierarchy in usable]


def processes(name):
    """The ids of all processes of the machine."""
    found = set()
    for group in cgroups(name):
        for directory, _, _ in os.walk(group):
            found.update(_read(os.path.join(directory, "cgroup.procs")).split())
    return sorted(int(pid) for pid in found)


def running(name):
    """Whether the machine's systemd-nspawn is alive."""
    return any(_read(f"/proc/{pid}/comm").strip() == "systemd-nspawn" for pid in processes(name))


def attached(item):
    """Which of the machine's devices hang on which bridge."""
    devices = [nic["device"] for nic in item["nics"]]
    links = {device: f"/sys/class/net/{device}/master" for device in devices}
    return {d: os.path.basename(os.readlink(link)) if os.path.islink(link) else None for d, link in links.items()}


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def start(runner, item, directory, base):
    """Mount the machine's tree and boot it, after clearing away what an earlier start left."""
    stop(runner, item, directory)
    root = os.path.join(directory, "root")
    layers = {"lowerdir": base, "upperdir": f"{directory}/upper", "workdir": f"{directory}/work"}
    options = ",".join(f"{key}={value}" for key, value in layers.items())
    runner.write(["mount", "-t", "overlay", "-o", options, "overlay", root])
    argv = [os.path.join(directory, "run")]
    runner.commands.append(argv)
    with open(os.path.join(directory, "console.log"), "ab") as log:
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
    _wait(lambda: running(item["name"]), 20, f"{item['name']} did not start; see {directory}/console.log")


def stop(runner, item, directory):
    """End all processes of the machine and remove all it has outside of its directory."""
    name = item["name"]
    kill(name)
    root = os.path.join(directory, "root")
    for point in mounted_below(root):
        if point == root:
            _remove(os.path.join(NSPAWN, "locks", _inode(root)))
        runner.write(["umount", "--lazy", point])
    for device in attached(item):
        if os.path.exists(f"/sys/class/net/{device}"):
            runner.write(["ip", "link", "delete", device])
    if os.path.exists(f"/run/netns/{name}"):
        runner.write(["ip", "netns", "delete", name])
    remove_tree(runner, os.path.join(NSPAWN, "propagate", name))
    for group in cgroups(name):
        for path, _, _ in os.walk(group, topdown=False):
            os.rmdir(path)


def _inode(path):
    there = os.stat(path)
    return f"inode-{there.st_dev}:{there.st_ino}"


def kill(name):
    """Kill the machine: a host of a lab has nothing to lose that is worth the wait for an orderly end."""

    def killed():
        for pid in processes(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not processes(name)

    _wait(killed, 20, f"the processes of {name} do not end")


def _wait(condition, seconds, otherwise):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ItemError(otherwise)
        time.sleep(0.05)


def _remove(path):
    if os.path.exists(path):
        os.unlink(path)

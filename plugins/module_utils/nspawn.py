# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A systemd-nspawn container: an overlay over a shared tree, with its own network namespace and control group.

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

# The control group hierarchy of version 2: the only one, or the one beside version 1.
HIERARCHIES = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
# The container gets its own device nodes, because its udev changes their owner. /dev/kvm has the mode that udev sets:
# if only root can open it, libvirt probes QEMU before every definition (10 s).
DEVICES = {"/dev/net/tun": "0666 root root - 10:200", "/dev/kvm": "0660 root kvm - 10:232"}
NSPAWN = "/run/systemd/nspawn"


def script(item, directory):
    """Return the shell script that runs the container until it powers off."""
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
    # In /proc/sys, the container may write only the settings of its network namespace.
    lines += [f"  SYSTEMD_NSPAWN_API_VFS_WRITABLE=network {shlex.join(_nspawn(space, directory))}"]
    lines += ["  [ $? -eq 133 ]", "do :; done", ""]
    return "\n".join(lines)


def _nspawn(space, directory):
    argv = ["nsenter", f"--net=/run/netns/{space}", "systemd-nspawn", "--quiet", "--boot", f"--machine={space}"]
    return [*argv, f"--directory={directory}/root", "--register=no", "--keep-unit", "--capability=all"]


def devices():
    """Return lines for systemd-tmpfiles that create the device nodes at boot."""
    return "".join(f"c! {path} {how}\n" for path, how in DEVICES.items() if os.path.exists(path))


def mac(device):
    """Return a constant MAC address, so that entries of neighbours stay valid when the container restarts."""
    digest = hashlib.sha256(device.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def cgroups(name):
    """Return the control group of the container's processes."""
    usable = [h for h in HIERARCHIES if os.path.exists(os.path.join(h, "cgroup.procs"))]
    return [os.path.join(hierarchy, name) for hierarchy in usable]


def processes(name):
    """Return the ids of all processes of the container."""
    found = set()
    for group in cgroups(name):
        for directory, _, _ in os.walk(group):
            found.update(_read(os.path.join(directory, "cgroup.procs")).split())
    return sorted(int(pid) for pid in found)


def running(name):
    """Return whether the container's systemd-nspawn is running."""
    return any(_read(f"/proc/{pid}/comm").strip() == "systemd-nspawn" for pid in processes(name))


def attached(item):
    """Return the bridges of the container's devices: {device: bridge}."""
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
    """Clean up after an earlier start, mount the container's tree and boot it."""
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
    """End all processes of the container and remove everything that it has outside its directory."""
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
    """Kill the container. A host of the lab has no data that is worth the wait for a shutdown."""

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

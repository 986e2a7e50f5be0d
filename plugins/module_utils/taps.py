# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The devices of ports: taps of servers, and veth pairs of routers.

The alias of a tap, or of the outer end of a pair, identifies the device also without its port on the switch.
"""

from __future__ import annotations

import os
import re

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text
from ansible_collections.skywright.cloud.plugins.module_utils.router_links import device_name
from ansible_collections.skywright.cloud.plugins.module_utils.switch_ports import tap_name

DEVICES = "/sys/class/net"
MARK = re.compile(r"skywright:([0-9a-f-]{36}):([0-9a-f-]{36})")


def mark(network_id, port_id):
    """Return the alias of a port's tap."""
    return f"skywright:{network_id}:{port_id}"


def marked():
    """List the taps of the host as (device, network id, port id)."""
    names = [name for name in sorted(os.listdir(DEVICES)) if name.startswith("tap")]
    found = [(name, MARK.fullmatch((_attribute(name, "ifalias") or "").strip())) for name in names]
    return [(name, *match.groups()) for name, match in found if match]


def _attribute(device, name):
    """Return an attribute of a device as text, None if the device does not exist or is being removed."""
    try:
        return read_text(os.path.join(DEVICES, device, name))
    except OSError:
        return None


def exists(device):
    """Return whether the host has the device."""
    return os.path.exists(os.path.join(DEVICES, device))


def mtu(device):
    """Return the MTU of a device, None if it does not exist."""
    text = _attribute(device, "mtu")
    return int(text) if text else None


class Taps:
    """Creates and removes the devices of networks' ports; the taps of a network are {device: MTU}."""

    def __init__(self, runner):
        self.runner = runner

    def add(self, steps):
        """Create and set up devices, without IPv6 addresses of the host."""
        for step in steps:
            self._add_pairs(step)
        self._ip([line for step in steps for line in _new_taps(step)])

    def _add_pairs(self, step):
        """Create veth pairs without offloads: the userspace switch would send what has no checksum yet."""
        pairs = [(tap_name(port["id"]), device_name(port["id"])) for port in _new_pairs(step)]
        self._ip([line for port in _new_pairs(step) for line in _new_pair(step, port)])
        for device in (device for pair in pairs for device in pair if exists(device)):
            self.runner.write(["ethtool", "-K", device, "tx", "off"])

    def remove(self, steps):
        """Remove devices. The removal of a router in the same run may remove veth pairs at the same time."""
        names = [name for step in steps for name in _old_taps(step)]
        try:
            self._ip([f"link delete dev {name}" for name in names])
        except ItemError:
            if any(map(exists, names)):
                raise

    def _ip(self, lines):
        if lines:
            self.runner.write(["ip", "-force", "-batch", "-"], stdin="".join(line + "\n" for line in lines))


def _taps(step):
    """Return the present and the wanted taps."""
    return tuple((side or {}).get("taps", {}) for side in (step.have, step.want))


def _new_pairs(step):
    """Return the ports whose veth pairs are to be created or completed."""
    have, want = _taps(step)
    ports = [(tap_name(port["id"]), port) for port in step.item["ports"] if port["device"] == "veth"]
    return [port for name, port in ports if name in want and have.get(name) != want[name]]


def _new_pair(step, port):
    """Return the lines for ip -batch that create a veth pair, with another MTU than it has when it is complete."""
    name = tap_name(port["id"])
    if not exists(name):
        yield f"link add dev {name} mtu {max(step.item['mtu'] + 1, 1500)} type veth peer name {device_name(port['id'])}"
        yield f"link set dev {name} alias {mark(step.id, port['id'])}"


def _new_taps(step):
    """Return the lines for ip -batch that create taps and set up all devices."""
    have, want = _taps(step)
    ids = {tap_name(port["id"]): port["id"] for port in step.item["ports"]}
    for name, size in want.items():
        if have.get(name) == size:
            continue
        if not exists(name):
            yield f"tuntap add dev {name} mode tap"
        yield f"link set dev {name} addrgenmode none mtu {size} up"
        if name in ids:
            yield f"link set dev {name} alias {mark(step.id, ids[name])}"


def _old_taps(step):
    have, want = _taps(step)
    return [name for name in have if exists(name) and name not in want]

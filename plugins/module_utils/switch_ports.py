# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names of networks' ports on a host's switch, and the commands that create, change and remove these ports."""

from __future__ import annotations

import hashlib


def tap_name(port_id):
    """Return the name of a server's port and of its tap."""
    return "tap" + port_id[:11]


def patch_names(port_id):
    """Return the names of the patch that connects a tap with port security: its ends on br-int and on br-sec."""
    return "si" + port_id[:11], "ss" + port_id[:11]


def dhcp_name(network_id):
    """Return the name of the port of the network's DHCP server."""
    return "dh" + network_id[:11]


def tunnel_name(network_id, peer, kind):
    """Return the name of the tunnel to a peer. It is a hash, because device names have at most 15 characters."""
    return kind[:2] + hashlib.sha256(f"{network_id} {peer}".encode()).hexdigest()[:11]


def detach(step):
    """Return the commands that remove ports whose devices were deleted."""
    want = (step.want or {}).get("ports", {})
    for name, port in (step.have or {}).get("ports", {}).items():
        if port["stale"] and want.get(name) != port:
            yield ["--if-exists", "del-port", port["bridge"], name]


def commands(step):
    """Return the commands that create and change the ports of a network."""
    have = (step.have or {}).get("ports", {})
    want = (step.want or {}).get("ports", {})
    for name in have:
        if have[name] != want.get(name):
            yield ["--if-exists", "del-port", have[name]["bridge"], name]
    for name, port in want.items():
        if have.get(name) != port:
            yield from _add_port(name, port)


def _add_port(name, port):
    # A port of the same name that lost its mark must be replaced, too.
    yield ["--if-exists", "del-port", name]
    add = ["add-port", port["bridge"], name]
    if port["tag"] is not None:
        add.append(f"tag={port['tag']}")
    if port["protected"]:
        add.append("protected=true")
    yield add + [f"external_ids:{key}={value}" for key, value in sorted(port["external_ids"].items())]
    if port["type"]:
        options = [f"options:{key}={value}" for key, value in sorted(port["options"].items())]
        yield ["set", "Interface", name, f"type={port['type']}", *options]


def secure_bridge(name, datapath_type):
    """Return the commands that create the bridge of port security, which passes no frame without a flow."""
    yield ["--may-exist", "add-br", name]
    yield ["set", "Bridge", name, f"datapath_type={datapath_type}", "fail_mode=secure"]

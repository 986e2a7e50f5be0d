# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host has of this cloud: all that carries the cloud's marks, and nothing else."""

from __future__ import annotations

import json
import os

from ansible_collections.skywright.cloud.plugins.module_utils import dnsmasq, taps
from ansible_collections.skywright.cloud.plugins.module_utils.check import UUID
from ansible_collections.skywright.cloud.plugins.module_utils.files import ROOT, read_text
from ansible_collections.skywright.cloud.plugins.module_utils.ovsdb import Ovsdb, members

NETWORK, PORT = "skywright-network", "skywright-port"
IMAGE_SUFFIX = ".qcow2"


def contents(runner, root=ROOT, devices=taps.DEVICES):
    """List the directories of servers, the ports of networks, the DHCP servers and the cached images."""
    return {
        "directories": _directories(os.path.join(root, "servers")),
        "ports": _ports(runner, devices),
        "dhcp": _dhcp(os.path.join(root, "dhcp")),
        "images": _images(os.path.join(root, "images")),
    }


def _names(directory):
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def _directories(directory):
    return [
        {
            "id": name,
            "disk": os.path.exists(os.path.join(directory, name, "disk")),
            "image_id": json.loads(read_text(os.path.join(directory, name, "skywright.json")) or "{}").get("image_id"),
        }
        for name in _names(directory)
        if UUID.fullmatch(name)
    ]


def _ports(runner, devices):
    tables = Ovsdb(runner).read(
        Port=["name", "external_ids", "interfaces"],
        Interface=["options"],
    )
    options = {row["_uuid"]: row["options"] for row in tables["Interface"]}
    ports = [
        {
            "name": row["name"],
            "network_id": row["external_ids"][NETWORK],
            "port_id": row["external_ids"].get(PORT),
            "peer": options.get(members(row["interfaces"])[0], {}).get("remote_ip"),
        }
        for row in tables["Port"]
        if NETWORK in row["external_ids"]
    ]
    known = {port["name"] for port in ports}
    strays = [
        {"name": name, "network_id": network_id, "port_id": port_id, "peer": None}
        for name, network_id, port_id in taps.marked(devices)
        if name not in known
    ]
    return ports + strays


def _dhcp(directory):
    return [
        {"id": name, "ports": sorted(dnsmasq.entries(read_text(os.path.join(directory, name, "hosts")) or ""))}
        for name in _names(directory)
        if UUID.fullmatch(name)
    ]


def _images(directory):
    names = [name.removesuffix(IMAGE_SUFFIX) for name in _names(directory) if name.endswith(IMAGE_SUFFIX)]
    return [name for name in names if UUID.fullmatch(name)]

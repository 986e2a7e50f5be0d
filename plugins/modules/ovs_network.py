#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_network
short_description: Tenant networks on a host's integration bridge
description:
  - Gives each network a local VLAN tag on the integration bridge, joins the hosts by tunnels or a physical
    network, and makes the ports of servers and of DHCP.
  - Makes the taps of servers, too. They stay while a server is off or reboots, since a userspace switch does not
    notice that a device was replaced by another of the same name.
  - Everything else is kept in Open vSwitch's own database, marked with the network's id in C(external_ids), so it
    survives restarts of the switch and of the host. All networks are written in one transaction.
options:
  bridge:
    description: The integration bridge.
    type: str
    default: br-int
  physical_networks:
    description: The host's bridges to physical networks, by the physical network's name.
    type: dict
    default: {}
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.networks
"""

EXAMPLES = r"""
- name: A network with one server here and others on 172.20.1.12
  skywright.cloud.ovs_network:
    networks:
      - id: 0a0b0c0d-0000-4000-8000-000000000001
        segmentation_id: 1001
        peers: [172.20.1.12]
        ports:
          - id: 1a0b0c0d-0000-4000-8000-000000000002
            mac: fa:16:3e:00:00:01
"""

RETURN = r"""
results:
  description: One entry a network.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000001, changed: true, action: create, status: present}]
commands:
  description: The transactions that were sent.
  returned: always
  type: list
  elements: list
  sample: [[ovs-vsctl, --no-wait, --, add-port, br-int, tap1a0b0c0d-00]]
"""

import hashlib
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import check, items, taps
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text
from ansible_collections.skywright.cloud.plugins.module_utils.ovsdb import Ovsdb, members

OWNER = "skywright-network"
PORT = "skywright-port"
DEVICES = "/sys/class/net"
SPEC = {
    "networks": items.NETWORKS,
    "bridge": {"type": "str", "default": "br-int"},
    "physical_networks": {"type": "dict", "default": {}},
}


def tap_name(port_id):
    """Name a server's port; libvirt makes the device of this name."""
    return "tap" + port_id[:11]


def dhcp_name(network_id):
    """Name the port that leads to the network's DHCP server."""
    return "dh" + network_id[:11]


def tunnel_name(network_id, peer):
    """Name the tunnel to a peer; device names have 15 characters, so it is a hash."""
    return "vx" + hashlib.sha256(f"{network_id} {peer}".encode()).hexdigest()[:11]


class Networks:
    """The networks on one integration bridge: what is there, what is wanted, and the commands between them.

    A network is {"tag": local VLAN tag, "ports": {port name: what it is like}, "taps": {device: MTU}}.
    """

    def __init__(self, runner, bridge, physical_networks):
        self.runner = runner
        self.ovsdb = Ovsdb(runner)
        self.bridge = bridge
        self.physical_networks = physical_networks
        self.used_tags = set()

    def read(self, _items):
        """Read all networks of the bridge, in one go."""
        tables = self.ovsdb.read(
            Bridge=["name", "ports"],
            Port=["name", "tag", "external_ids", "interfaces", "protected"],
            Interface=["name", "type", "options", "ofport"],
        )
        ports = {row["_uuid"]: row for row in tables["Port"]}
        interfaces = {row["_uuid"]: row for row in tables["Interface"]}
        if self.bridge not in [row["name"] for row in tables["Bridge"]]:
            raise ItemError(f"this host has no bridge {self.bridge}: converge it with playbooks/site.yml")
        networks = {}
        for bridge in tables["Bridge"]:
            for port in (ports[uuid] for uuid in members(bridge["ports"])):
                tag = None if isinstance(port["tag"], list) else port["tag"]
                if bridge["name"] == self.bridge and tag:
                    self.used_tags.add(tag)
                self._add(networks, bridge["name"], port, tag, interfaces)
        # Taps that somebody took off the switch are still the networks'.
        for device, network_id, _port in taps.marked(DEVICES):
            network = networks.setdefault(network_id, {"tag": None, "ports": {}, "taps": {}})
            network["taps"].setdefault(device, _mtu(device))
        return networks

    def _add(self, networks, bridge, port, tag, interfaces):
        owner = port["external_ids"].get(OWNER)
        if not owner:
            return
        network = networks.setdefault(owner, {"tag": None, "ports": {}, "taps": {}})
        if bridge == self.bridge:
            network["tag"] = network["tag"] or tag
        interface = interfaces[members(port["interfaces"])[0]]
        network["ports"][port["name"]] = {
            "bridge": bridge,
            "tag": tag,
            "protected": port["protected"],
            "type": interface["type"],
            "options": interface["options"],
            "external_ids": port["external_ids"],
            "stale": _is_stale(interface),
        }
        if PORT in port["external_ids"]:
            network["taps"][port["name"]] = _mtu(port["name"])

    def want(self, item, have):
        """Describe the wanted network; ports that are not mentioned stay."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        tag = (have or {}).get("tag") or self._free_tag()
        ports = dict((have or {}).get("ports", {}))
        taps = dict((have or {}).get("taps", {}))
        for port in item["ports"]:
            name = tap_name(check.uuid(port["id"]))
            ports.pop(name, None)
            taps.pop(name, None)
            if port["state"] == "present":
                taps[name] = item["mtu"]
                ports[name] = self._port(item, tag=tag, external_ids={PORT: port["id"]})
        if item["dhcp"]:
            ports.pop(dhcp_name(item["id"]), None)
            if item["dhcp"]["state"] == "present":
                ports[dhcp_name(item["id"])] = self._port(item, tag=tag)
        former = set(item["former_peers"])
        ports = {name: port for name, port in ports.items() if port["options"].get("remote_ip") not in former}
        ports.update(self._links(item, tag))
        if not ports:  # of taps that lost theirs, those that nobody mentioned stay
            return {"tag": have["tag"], "ports": {}, "taps": taps} if taps else None
        self.used_tags.add(tag)
        return {"tag": tag, "ports": ports, "taps": taps}

    def _free_tag(self):
        for tag in range(1, 4095):
            if tag not in self.used_tags:
                return tag
        raise ItemError("all local VLAN tags of this host are taken")

    def _links(self, item, tag):
        if item["type"] == "vxlan":
            return self._tunnels(item, tag)
        return self._patch(item, tag)

    def _tunnels(self, item, tag):
        if not 1 <= (item["segmentation_id"] or 0) < 2**24:
            raise ItemError("a vxlan network needs a segmentation_id from 1 to 16777215")
        # Protected ports do not talk to each other: no frame goes from tunnel to tunnel.
        return {
            tunnel_name(item["id"], peer): self._port(
                item,
                tag=tag,
                protected=True,
                type="vxlan",
                options={"key": str(item["segmentation_id"]), "remote_ip": str(check.address(peer))},
            )
            for peer in item["peers"]
        }

    def _patch(self, item, tag):
        physical = self.physical_networks.get(item["physical_network"])
        if physical is None:
            raise ItemError(f"this host has no physical network {item['physical_network']!r}")
        outer = 0 if item["type"] == "flat" else item["segmentation_id"]
        if outer is None or not 0 <= outer < 4095:
            raise ItemError("a vlan network needs a segmentation_id from 1 to 4094")
        inside, outside = "pi" + item["id"][:11], "pp" + item["id"][:11]
        return {
            inside: self._port(item, tag=tag, type="patch", options={"peer": outside}),
            outside: self._port(item, bridge=physical, tag=outer, type="patch", options={"peer": inside}),
        }

    def _port(self, item, **settings):
        port = {
            "bridge": self.bridge,
            "protected": False,
            "type": "",
            "options": {},
            "external_ids": {},
            "stale": False,
        }
        port.update(settings)
        port["external_ids"] = {**port["external_ids"], OWNER: item["id"]}
        return port

    def apply(self, steps):
        """Write all networks in one transaction; if it is refused, try one by one to find the bad one."""
        try:
            self._write(steps)
        except ItemError as error:
            if len(steps) == 1:
                return {steps[0].id: str(error)}
            failed = {}
            for step in steps:
                failed.update(self.apply([step]))
            return failed
        return {}

    def _write(self, steps):
        stale = [command for step in steps for command in detach(step)]
        if stale:
            # The switch has to let go of the old device before the port comes back.
            self.ovsdb.transact(stale, wait=True)
        self._ip([line for step in steps for line in new_taps(step)])
        changes = [command for step in steps for command in commands(step)]
        if changes:
            self.ovsdb.transact(changes)
        self._ip([line for step in steps for line in old_taps(step)])

    def _ip(self, lines):
        if lines:
            self.runner.write(["ip", "-force", "-batch", "-"], stdin="".join(line + "\n" for line in lines))


def _exists(device):
    return os.path.exists(os.path.join(DEVICES, device))


def _mtu(device):
    text = read_text(os.path.join(DEVICES, device, "mtu"))
    return int(text) if text else None


def _is_stale(interface):
    """Whether a port had a device that is gone: the switch would not take another one of its name."""
    attached = isinstance(interface["ofport"], int) and interface["ofport"] > 0
    return interface["type"] == "" and attached and not _exists(interface["name"])


def detach(step):
    """List the commands that take away ports whose devices are gone."""
    want = (step.want or {}).get("ports", {})
    for name, port in (step.have or {}).get("ports", {}).items():
        if port["stale"] and want.get(name) != port:
            yield ["--if-exists", "del-port", port["bridge"], name]


def new_taps(step):
    """List the lines for ip that make taps; nothing of the host itself shall speak on them."""
    have = (step.have or {}).get("taps", {})
    ids = {tap_name(port["id"]): port["id"] for port in step.item["ports"]}
    for name, mtu in (step.want or {}).get("taps", {}).items():
        if have.get(name) == mtu:
            continue
        if not _exists(name):
            yield f"tuntap add dev {name} mode tap"
        yield f"link set dev {name} addrgenmode none mtu {mtu} up"
        if name in ids:
            yield f"link set dev {name} alias {taps.mark(step.id, ids[name])}"


def old_taps(step):
    """List the lines for ip that remove taps."""
    for name in (step.have or {}).get("taps", {}):
        if _exists(name) and name not in (step.want or {}).get("taps", {}):
            yield f"link delete dev {name}"


def commands(step):
    """List the commands that make a network's ports as they are wanted."""
    have = (step.have or {}).get("ports", {})
    want = (step.want or {}).get("ports", {})
    for name in have:
        if have[name] != want.get(name):
            yield ["--if-exists", "del-port", have[name]["bridge"], name]
    for name, port in want.items():
        if have.get(name) != port:
            yield from _add_port(name, port)


def _add_port(name, port):
    # A port of that name whose mark was lost is in the way, too.
    yield ["--if-exists", "del-port", name]
    add = ["add-port", port["bridge"], name, f"tag={port['tag']}"]
    if port["protected"]:
        add.append("protected=true")
    yield add + [f"external_ids:{key}={value}" for key, value in sorted(port["external_ids"].items())]
    if port["type"]:
        options = [f"options:{key}={value}" for key, value in sorted(port["options"].items())]
        yield ["set", "Interface", name, f"type={port['type']}", *options]


def main():
    """Converge the networks."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    runner = Runner()
    networks = Networks(runner, module.params["bridge"], module.params["physical_networks"])
    converge(
        module,
        items=module.params["networks"],
        read=networks.read,
        want=networks.want,
        apply=networks.apply,
        status=lambda want: "present",
        commands=runner.commands,
        exclusive="ovs",
    )


if __name__ == "__main__":
    main()

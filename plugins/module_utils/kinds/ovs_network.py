# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tenant networks on a host's integration bridge."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils import check, dnsmasq, netns, taps
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, together
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.network_spec import NETWORKS
from ansible_collections.skywright.cloud.plugins.module_utils.ovsdb import Ovsdb, members
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option
from ansible_collections.skywright.cloud.plugins.module_utils.switch_ports import (
    commands,
    detach,
    dhcp_name,
    patch_names,
    secure_bridge,
    tap_name,
    tunnel_name,
)

OWNER = "skywright-network"
PORT = "skywright-port"
# The types with tunnels, and the largest identifier that the header of each has room for.
LARGEST_IDS = {"vxlan": 2**24 - 1, "gre": 2**32 - 1}
# The tag of ports whose administrative state is down. They are also protected, so they do not reach each other.
DEAD_TAG = 4095


class OvsNetwork(Kind):
    """The networks on one integration bridge.

    A network is {"tag": local VLAN tag, "ports": {port name: its columns}, "taps": {device: MTU}}. The tap of a port
    with port security or QoS rules is on the bridge of port security, and a patch connects it with br-int.
    """

    name, items, label = "ovs_network", "networks", "network"
    item = NETWORKS
    options = {
        "bridge": option("The integration bridge.", default="br-int"),
        "security_bridge": option("The bridge of the taps with port security.", default="br-sec"),
        "physical_networks": option(
            "The host's bridges to physical networks, by the name of the physical network.", "dict", default={}
        ),
    }
    variables = {"physical_networks": "vswitch_physical_networks"}
    exclusive = "ovs"

    def __init__(self, **options):
        super().__init__(**options)
        self.ovsdb = Ovsdb(self.runner)
        self.taps = taps.Taps(self.runner)
        self.bridge, self.security_bridge = self.settings["bridge"], self.settings["security_bridge"]
        self.physical_networks = self.settings["physical_networks"] or {}
        self.used_tags = set()
        self.datapath_types = {}

    def provides(self, item):
        """The ports of a failed network are missing, too."""
        return [item["id"], *(port["id"] for port in item["ports"])]

    def removes(self, item):
        """Ports of a present network are removed, too."""
        return [*super().removes(item), *(port["id"] for port in item["ports"] if port["state"] == "absent")]

    def read(self, _items):
        """Read all networks of the bridge with one command."""
        tables = self.ovsdb.read(
            Bridge=["name", "ports", "datapath_type"],
            Port=["name", "tag", "external_ids", "interfaces", "protected"],
            Interface=["name", "type", "options", "ofport"],
        )
        ports = {row["_uuid"]: row for row in tables["Port"]}
        interfaces = {row["_uuid"]: row for row in tables["Interface"]}
        self.datapath_types = {row["name"]: row["datapath_type"] for row in tables["Bridge"]}
        if self.bridge not in self.datapath_types:
            raise ItemError(f"this host has no bridge {self.bridge}: converge it with playbooks/site.yml")
        networks = {}
        for bridge in tables["Bridge"]:
            for port in (ports[uuid] for uuid in members(bridge["ports"])):
                tag = None if isinstance(port["tag"], list) else port["tag"]
                if bridge["name"] == self.bridge and tag:
                    self.used_tags.add(tag)
                self._add(networks, bridge["name"], port, tag, interfaces)
        # Taps whose port was removed from the switch still belong to their networks.
        for device, network_id, _port in taps.marked():
            network = networks.setdefault(network_id, {"tag": None, "ports": {}, "taps": {}})
            network["taps"].setdefault(device, taps.mtu(device))
        return networks

    def _add(self, networks, bridge, port, tag, interfaces):
        owner = port["external_ids"].get(OWNER)
        if not owner:
            return
        network = networks.setdefault(owner, {"tag": None, "ports": {}, "taps": {}})
        if bridge == self.bridge:
            network["tag"] = network["tag"] or (None if tag == DEAD_TAG else tag)
        interface = interfaces[members(port["interfaces"])[0]]
        network["ports"][port["name"]] = {
            "bridge": bridge,
            "tag": tag,
            "protected": port["protected"],
            "type": interface["type"],
            "options": interface["options"],
            "external_ids": port["external_ids"],
            "stale": _is_stale(interface) or (port["name"] == dhcp_name(owner) and _is_lost(owner)),
        }
        if PORT in port["external_ids"] and interface["type"] == "":
            network["taps"][port["name"]] = taps.mtu(port["name"])

    def marks(self):
        """List the ports of networks, and taps without a port."""
        tables = self.ovsdb.read(Port=["name", "external_ids", "interfaces"], Interface=["options"])
        options = {row["_uuid"]: row["options"] for row in tables["Interface"]}
        ports = [
            {
                "id": row["external_ids"][OWNER],
                "name": row["name"],
                "port_id": row["external_ids"].get(PORT),
                "peer": options.get(members(row["interfaces"])[0], {}).get("remote_ip"),
            }
            for row in tables["Port"]
            if OWNER in row["external_ids"]
        ]
        known = {port["name"] for port in ports}
        strays = [
            {"id": network_id, "name": name, "port_id": port_id, "peer": None}
            for name, network_id, port_id in taps.marked()
            if name not in known
        ]
        return ports + strays

    def want(self, item, have):
        """Return the wanted network. Ports that are not listed stay."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        tag = (have or {}).get("tag") or self._free_tag()
        ports = dict((have or {}).get("ports", {}))
        devices = dict((have or {}).get("taps", {}))
        for port in item["ports"]:
            name = tap_name(check.uuid(port["id"]))
            devices.pop(name, None)
            for one in (name, *patch_names(port["id"])):
                ports.pop(one, None)
            if port["state"] == "present":
                devices[name] = item["mtu"]
                ports.update(self._plugged(item, port, tag))
        if item["dhcp"]:
            ports.pop(dhcp_name(item["id"]), None)
            if item["dhcp"]["state"] == "present":
                ports[dhcp_name(item["id"])] = self._port(item, tag=tag)
        former = set(item["former_peers"])
        ports = {name: port for name, port in ports.items() if port["options"].get("remote_ip") not in former}
        ports.update(self._links(item, tag))
        if not ports:  # taps without a port that are not listed stay
            return {"tag": have["tag"], "ports": {}, "taps": devices} if devices else None
        # If all ports are down, the network needs no tag.
        if not any(port["bridge"] == self.bridge and port["tag"] == tag for port in ports.values()):
            return {"tag": None, "ports": ports, "taps": devices}
        self.used_tags.add(tag)
        return {"tag": tag, "ports": ports, "taps": devices}

    def _plugged(self, item, port, tag):
        """Return the ports that connect a server: its tap, and with port security or QoS rules the ends of a patch."""
        name, marks = tap_name(port["id"]), {PORT: port["id"]}
        up = port["admin_state_up"]
        access = {"tag": tag if up else DEAD_TAG, "protected": not up, "external_ids": marks}
        if not port["port_security_enabled"] and not port["qos"]:
            return {name: self._port(item, **access)}
        inside, outside = patch_names(port["id"])
        secure = {"bridge": self.security_bridge, "tag": None, "external_ids": marks}
        return {
            name: self._port(item, **secure),
            outside: self._port(item, type="patch", options={"peer": inside}, **secure),
            inside: self._port(item, type="patch", options={"peer": outside}, **access),
        }

    def _free_tag(self):
        for tag in range(1, 4095):
            if tag not in self.used_tags:
                return tag
        raise ItemError("all local VLAN tags of this host are in use")

    def _links(self, item, tag):
        if item["type"] == "local":
            return {}
        if item["type"] in LARGEST_IDS:
            return self._tunnels(item, tag)
        return self._patch(item, tag)

    def _tunnels(self, item, tag):
        kind, largest = item["type"], LARGEST_IDS[item["type"]]
        if not 1 <= (item["segmentation_id"] or 0) <= largest:
            raise ItemError(f"a {kind} network needs a segmentation_id from 1 to {largest}")
        # Frames do not pass between protected ports, so none passes from tunnel to tunnel.
        return {
            tunnel_name(item["id"], peer, kind): self._port(
                item,
                tag=tag,
                protected=True,
                type=kind,
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

    def apply(self, steps, done):
        """Write all networks in one transaction."""
        return together(self._write)(steps, done)

    def _write(self, steps):
        stale = [command for step in steps for command in detach(step)]
        if stale:
            # The switch must release the old device before the port is added again.
            self.ovsdb.transact(stale, wait=True)
        self._remove_lost(steps)
        self.taps.add(steps)
        changes = [command for step in steps for command in commands(step)]
        if changes:
            bridges = self._bridges(steps)
            self.ovsdb.transact([*bridges, *changes], wait=bool(bridges))
        self.taps.remove(steps)

    def _remove_lost(self, steps):
        """Remove the veth pairs of DHCP servers that the servers would not find; they create new ones."""
        served = [step.id for step in steps if step.want and dhcp_name(step.id) in step.want["ports"]]
        lines = [f"link delete dev {dhcp_name(network_id)}\n" for network_id in served if _is_lost(network_id)]
        if lines:
            self.runner.write(["ip", "-batch", "-"], stdin="".join(lines))

    def _bridges(self, steps):
        """Return the commands that create the bridge of port security, if the steps need it and it is missing."""
        ports = [port for step in steps if step.want for port in step.want["ports"].values()]
        if self.security_bridge in self.datapath_types or all(port["bridge"] != self.security_bridge for port in ports):
            return []
        return secure_bridge(self.security_bridge, self.datapath_types[self.bridge] or "system")


def _is_lost(network_id):
    """Return whether the veth pair of a DHCP server stayed in a namespace that has lost its name.

    The metadata proxy may keep this namespace, and the server could not create a new pair.
    """
    namespace, device = f"qdhcp-{network_id}", dnsmasq.inner_device(network_id)
    return taps.exists(dhcp_name(network_id)) and not netns.has_device(namespace, device)


def _is_stale(interface):
    """Return whether the device of a port was deleted: the switch would not accept a new device of the same name."""
    attached = isinstance(interface["ofport"], int) and interface["ofport"] > 0
    return interface["type"] == "" and attached and not taps.exists(interface["name"])

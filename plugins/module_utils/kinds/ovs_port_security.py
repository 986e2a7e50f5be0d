# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Port security: flows that drop frames which a server must not send, or which its security groups do not allow."""

from __future__ import annotations

import os
from contextlib import suppress

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import PORTS, SHARED, cookie, shared_flows
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import flows, is_tracked, zone_of
from ansible_collections.skywright.cloud.plugins.module_utils.switch_flows import (
    PortFlowKind,
    additions,
    port_changes,
    port_lines,
    replacement,
)
from ansible_collections.skywright.cloud.plugins.module_utils.switch_ports import patch_names, tap_name

# Where flows of port security on br-int were saved, before there was a bridge for them.
OLD_DIRECTORY, OLD_BRIDGE = "/var/lib/skywright/port-security", "br-int"


class OvsPortSecurity(PortFlowKind):
    """The port security of one host's ports.

    A network is {"ports": {port id: FLOWS}, "shared": FLOWS}. FLOWS are {"flows": [text], "saved": bool}; saved flows
    are in a file, too, from which a unit restores them when the switch starts. The shared flows belong to all ports.
    """

    name = "ovs_port_security"
    after = ("ovs_network", "ovs_security_group")
    candidates, number_label = range(1, 2**16), "zones of connection tracking"
    saved_number = staticmethod(zone_of)

    def __init__(self, **options):
        super().__init__(**options)
        self.networks = os.path.join(self.directory, "networks")
        self.shared_file = os.path.join(self.directory, "shared")
        self.shared = None  # FLOWS
        self.others = {}  # network id: its ports with saved flows that are not listed

    def needs(self, item):
        """A server without its security groups must not start."""
        groups = {group for port in item.get("ports") or () for group in port.get("security_groups") or ()}
        return [item["id"], *sorted(groups)]

    def read(self, networks):
        """Read the flows and the files of the listed ports, and of all ports of absent networks."""
        ids = {item["id"]: self._ids(item) for item in networks}
        present = self.present(PORTS, sorted({one for port_ids in ids.values() for one in port_ids}))
        restored = self.has_unit()
        shared = self.present(SHARED, [None]).get(cookie(SHARED), set())
        self.shared = self._state(self.shared_file, shared, restored)
        found = {}
        for network_id, port_ids in ids.items():
            ports = {one: self._read(network_id, one, present, restored) for one in port_ids}
            ports = {one: port for one, port in ports.items() if port}
            if ports or os.path.isdir(self.path(network_id)):
                found[network_id] = {"ports": ports, "shared": self.shared}
        return found

    def _ids(self, item):
        saved = {*_saved_ports(self.networks, item["id"])}
        if item["state"] == "absent":
            return saved
        listed = {port["id"] for port in item["ports"] if check.UUID.fullmatch(port["id"])}
        self.others[item["id"]] = saved - listed
        return listed

    def _read(self, network_id, port_id, present, restored):
        texts, path = present.get(cookie(PORTS, port_id), set()), self.path(network_id, port_id)
        saved = read_text(path)
        self.numbers[port_id] = zone_of(saved or "")
        if not texts and saved is None and not os.path.exists(os.path.join(OLD_DIRECTORY, network_id, port_id)):
            return None
        return self._state(path, texts, restored)

    @staticmethod
    def _state(path, texts, restored):
        saved = restored and read_text(path) == "".join(additions(texts))
        return {"flows": sorted(texts), "saved": saved}

    def marks(self):
        """List the networks with the ports that have saved flows."""
        networks = {*ids_in(self.networks), *ids_in(OLD_DIRECTORY)}
        return [{"id": one, "ports": _saved_ports(self.networks, one)} for one in sorted(networks)]

    def want(self, item, have):
        """Return the wanted port security. Ports that are not listed stay."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        ports = {}
        for port in item["ports"]:
            check.uuid(port["id"])
            if port["state"] == "present" and port["port_security_enabled"]:
                zone = self.number(port["id"]) if is_tracked(port) else None
                texts = flows(port, tap_name(port["id"]), patch_names(port["id"])[1], zone)
                ports[port["id"]] = {"flows": texts, "saved": True}
        shared = {"flows": shared_flows(), "saved": True}
        return {"ports": ports, "shared": shared} if ports or self.others[item["id"]] else None

    def write_together(self, steps):
        """Save the new flows first, so that an interrupted run loses none, and delete old files last."""
        changes = [change for step in steps for change in port_changes(step)]
        lines, shared = [], next((step.want["shared"] for step in steps if step.want), self.shared)
        if shared != self.shared:
            self.save(self.shared_file, "".join(additions(shared["flows"])))
            lines += replacement(set(self.shared["flows"]), set(shared["flows"]))
        for network_id, port_id, have, want in changes:
            self._forget_old(network_id, port_id)
            if want:
                self.save(self.path(network_id, port_id), "".join(additions(want["flows"])))
            lines += port_lines(PORTS, port_id, have, want)
        self.wait([port_id for _network_id, port_id, _have, want in changes if want])
        self.send(lines)
        self.remove_files(steps)

    def _forget_old(self, network_id, port_id):
        """Remove the flows that a port had on br-int."""
        path = os.path.join(OLD_DIRECTORY, network_id, port_id)
        if os.path.exists(path):
            self.runner.write(["ovs-ofctl", "del-flows", OLD_BRIDGE, f"cookie={cookie(PORTS, port_id)}/-1"])
            remove(path)
            with suppress(OSError):  # other ports still have files there
                os.rmdir(os.path.dirname(path))
                os.rmdir(OLD_DIRECTORY)


def _saved_ports(directory, network_id):
    """Return the ids of a network's ports that have saved flows, those of before on br-int included."""
    return sorted({*ids_in(os.path.join(directory, network_id)), *ids_in(os.path.join(OLD_DIRECTORY, network_id))})

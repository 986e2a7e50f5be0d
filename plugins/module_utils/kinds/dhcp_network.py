# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DHCP servers of tenant networks."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils import check, dnsmasq
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, each
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.netns import has_device
from ansible_collections.skywright.cloud.plugins.module_utils.network_spec import NETWORKS
from ansible_collections.skywright.cloud.plugins.module_utils.release import release
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option

BASE_FILES = ("environment", "outside", "inside", "dnsmasq.conf")
# The files with lines of ports, and what renders these.
PORT_FILES = {"hosts": "hosts", "port_options": "port-options", "names": "names"}
PORT_LINES = {"hosts": dnsmasq.host_entry, "port_options": dnsmasq.port_options, "names": dnsmasq.port_names}


def unit(network_id):
    """Return the name of the network's unit."""
    return f"skywright-dhcp@{network_id}.service"


class DhcpNetwork(Kind):
    """The DHCP servers of one host."""

    name, items, label = "dhcp_network", "networks", "network"
    item = NETWORKS
    after = ("ovs_network",)
    options = {
        "directory": option("The directory of the servers' files.", "path", default="/var/lib/skywright/dhcp"),
        "unit_directory": option("The directory of the unit file.", "path", default="/etc/systemd/system"),
    }
    exclusive = "dhcp"

    def __init__(self, **options):
        super().__init__(**options)
        self.directory = self.settings["directory"]
        self.unit_file = os.path.join(self.settings["unit_directory"], dnsmasq.UNIT_NAME)
        self.unit = dnsmasq.UNIT.format(directory=self.directory)
        self.tags_file = dnsmasq.tags_file(self.directory)

    def concerns(self, item):
        """Return whether this host may have to change the network's DHCP server."""
        return item["dhcp"] is not None or item["state"] == "absent"

    def status(self, want):
        """A DHCP server that is present is running."""
        return "running"

    def path(self, network_id, *names):
        """Return the path of a file of a network."""
        return os.path.join(self.directory, network_id, *names)

    def read(self, networks):
        """Read the files of the listed networks, and the states of their units with one command."""
        there = [item["id"] for item in networks if os.path.isdir(self.path(item["id"]))]
        if not there:
            return {}
        states = self._unit_states(there)
        return {network_id: self._read(network_id, states.get(unit(network_id), {})) for network_id in there}

    def _unit_states(self, ids):
        properties = "--property=Id,ActiveState,UnitFileState"
        text = self.runner.read(["systemctl", "show", properties, *map(unit, ids)])
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in text.split("\n\n")]
        return {block["Id"]: block for block in blocks if "Id" in block}

    def _read(self, network_id, state):
        linked = has_device("qdhcp-" + network_id, dnsmasq.inner_device(network_id))
        return {
            "unit": read_text(self.unit_file) == self.unit,
            "tags": read_text(self.tags_file) == dnsmasq.MAC_TAGS,
            "files": {name: read_text(self.path(network_id, name)) for name in BASE_FILES},
            "options": read_text(self.path(network_id, "options")),
            **{key: self._entries(network_id, name) for key, name in PORT_FILES.items()},
            "told": not os.path.exists(self.path(network_id, "untold")),
            "enabled": state.get("UnitFileState") == "enabled",
            "running": state.get("ActiveState") == "active" and linked,
        }

    def _entries(self, network_id, name):
        return dnsmasq.entries(read_text(self.path(network_id, name)) or "")

    def marks(self):
        """List the DHCP servers with the ports in their files."""
        return [
            {"id": one, "ports": sorted({port for name in PORT_FILES.values() for port in self._entries(one, name)})}
            for one in ids_in(self.directory)
        ]

    def want(self, item, have):
        """Return the wanted server with its existing and the listed hosts."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        if item["dhcp"] is None:
            return have
        if item["dhcp"]["state"] == "absent":
            return None
        return {
            "unit": True,
            "tags": True,
            "files": dnsmasq.base_files(item, self.directory),
            "options": dnsmasq.options(item),
            **{
                key: _updated((have or {}).get(key, {}), item["dhcp"]["hosts"], render)
                for key, render in PORT_LINES.items()
            },
            "told": True,
            "enabled": True,
            "running": True,
        }

    def apply(self, steps, done):
        """Write the files that all servers share, then every network."""
        try:
            if any(step.want for step in steps) and read_text(self.tags_file) != dnsmasq.MAC_TAGS:
                os.makedirs(self.directory, mode=0o755, exist_ok=True)
                write_text(self.tags_file, dnsmasq.MAC_TAGS)
            if any(step.want for step in steps) and read_text(self.unit_file) != self.unit:
                write_text(self.unit_file, self.unit)
                self.runner.write(["systemctl", "daemon-reload"])
        except (ItemError, OSError) as error:
            return {step.id: str(error) for step in steps}
        actions = {"create": self.write, "update": self.write, "delete": self.delete}
        return each(actions, threads=4)(steps, done)

    def write(self, step):
        """Write the changed files, then reload or restart dnsmasq, whichever suffices."""
        os.makedirs(self.path(step.id), mode=0o755, exist_ok=True)
        # If this run is interrupted here, the next one sees that dnsmasq has not read its files.
        write_text(self.path(step.id, "untold"), "")
        for name, text in step.want["files"].items():
            if (step.have or {}).get("files", {}).get(name) != text:
                write_text(self.path(step.id, name), text)
        if step.changes("options"):
            write_text(self.path(step.id, "options"), step.want["options"])
        for key, name in PORT_FILES.items():
            if step.changes(key) or not os.path.exists(self.path(step.id, name)):
                lines = [text for _, text in sorted(step.want[key].items())]
                write_text(self.path(step.id, name), "".join(lines))
        self._tell(step)
        remove(self.path(step.id, "untold"))
        self._release(step)

    def _tell(self, step):
        if step.changes("files"):
            self.runner.read(["dnsmasq", "--test", "--conf-file=" + self.path(step.id, "dnsmasq.conf")])
        if step.changes("enabled"):
            self.runner.write(["systemctl", "enable", unit(step.id)])
        if any(step.changes(key) for key in ("unit", "tags", "files", "running")):
            self.runner.write(["systemctl", "restart", unit(step.id)])
        elif any(step.changes(key) for key in ("options", *PORT_FILES, "told")):
            self.runner.write(["systemctl", "reload-or-restart", unit(step.id)])

    def _release(self, step):
        """Release the leases of old entries at the servers of their subnets."""
        have, want = (step.have or {}).get("hosts", {}), step.want["hosts"]
        stale = [text for name, text in have.items() if want.get(name) != text]
        subnets = [subnet for subnet in step.item["dhcp"]["subnets"] if ":" not in subnet["cidr"]]
        leases = [
            (address, mac, subnet["address"])
            for entry in stale
            for address, mac in dnsmasq.leases_of(entry)
            for subnet in subnets
            if check.address(address) in check.network(subnet["cidr"])
        ]
        if leases:
            self.runner.commands.append(["release", *sorted({address for address, _, _ in leases})])
            release("qdhcp-" + step.id, dnsmasq.inner_device(step.id), leases)

    def delete(self, step):
        """Stop the server, then remove the namespace (and with it the veth pair) and its files."""
        if os.path.exists(self.unit_file):  # without it, this host never had a server
            self.runner.write(["systemctl", "disable", "--now", unit(step.id)])
        if os.path.exists(os.path.join("/run/netns", "qdhcp-" + step.id)):
            self.runner.write(["ip", "netns", "delete", "qdhcp-" + step.id])
        remove(self.path(step.id))


def _updated(lines, hosts, render):
    """Return the lines of ports, {port id: text}, with those of the listed hosts."""
    # A line without a port's id belongs to no port.
    result = {port: text for port, text in lines.items() if check.UUID.fullmatch(port)}
    for host in hosts:
        result.pop(check.uuid(host["id"]), None)
        text = render(host) if host["state"] == "present" else ""
        if text:
            result[host["id"]] = text
    return result

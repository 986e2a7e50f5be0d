# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Port security: flows on a host's integration bridge that drop frames which a server must not send."""

from __future__ import annotations

import os
import re

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, together
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_network import tap_name
from ansible_collections.skywright.cloud.plugins.module_utils.network_spec import NETWORKS
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import (
    COOKIE_MASK,
    COOKIES,
    cookie,
    flows,
    in_port,
)
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option

OURS = f"cookie={COOKIES:#x}/{COOKIE_MASK:#x}"
FLOW = re.compile(r'cookie=(0x[0-9a-f]+),.*?(in_port=(?:"[^"]*"|[^, ]*))')
UNIT_NAME = "skywright-port-security.service"
# The switch forgets its flows when it stops. A port that is missing since then must not stop the others.
UNIT = """\
[Unit]
Description=Flows of port security
After=ovs-vswitchd.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'for file in {directory}/*/*; do /usr/bin/ovs-ofctl bundle {bridge} "$file"; done; true'

[Install]
WantedBy=ovs-vswitchd.service
"""


class OvsPortSecurity(Kind):
    """The port security of one host's ports: {"ports": {port id: {"flows": [text], "saved": bool}}}.

    Saved flows are in a file, too, from which a unit restores them when the switch starts.
    """

    name, items, label = "ovs_port_security", "networks", "network"
    item = NETWORKS
    after = ("ovs_network",)
    options = {
        "bridge": option("The integration bridge.", default="br-int"),
        "directory": option("The directory of the saved flows.", "path", default="/var/lib/skywright/port-security"),
        "unit_directory": option("The directory of the unit file.", "path", default="/etc/systemd/system"),
    }
    exclusive = "port-security"

    def __init__(self, **options):
        super().__init__(**options)
        self.bridge, self.directory = self.settings["bridge"], self.settings["directory"]
        units = self.settings["unit_directory"]
        self.unit_file = os.path.join(units, UNIT_NAME)
        self.unit_link = os.path.join(units, "ovs-vswitchd.service.wants", UNIT_NAME)
        self.unit = UNIT.format(directory=self.directory, bridge=self.bridge)

    def concerns(self, item):
        """Return whether ports are listed or removed."""
        return item["state"] == "absent" or bool(item["ports"])

    def provides(self, item):
        """A server without its port security must not start."""
        return [item["id"], *(port["id"] for port in item["ports"])]

    def path(self, network_id, *port_id):
        """Return the path of the files of a network, or of one port."""
        return os.path.join(self.directory, network_id, *port_id)

    def read(self, networks):
        """Read the flows of all ports with one command, and the files of the listed networks."""
        present = self._flows()
        restored, found = self._has_unit(), {}
        for item in networks:
            ids = {*ids_in(self.path(item["id"])), *(port["id"] for port in item["ports"])}
            ports = {one: self._read(item["id"], one, present, restored) for one in ids if check.UUID.fullmatch(one)}
            ports = {one: port for one, port in ports.items() if port}
            if ports or os.path.isdir(self.path(item["id"])):
                found[item["id"]] = {"ports": ports}
        return found

    def _has_unit(self):
        return os.path.lexists(self.unit_link) and read_text(self.unit_file) == self.unit

    def _flows(self):
        """Return all flows of port security, {cookie or input port: {text}}."""
        argv = ["ovs-ofctl", "--names", "--no-stats", "dump-flows", self.bridge, OURS]
        found = {}
        for line in self.runner.read(argv).splitlines():
            match = FLOW.search(line)
            for key in match.groups() if match else ():
                found.setdefault(key, set()).add(line.strip())
        return found

    def _read(self, network_id, port_id, present, restored):
        # A flow of a removed port acts on the next port that gets its number.
        texts = present.get(cookie(port_id), set()) | present.get(in_port(tap_name(port_id)), set())
        saved = read_text(self.path(network_id, port_id))
        if not texts and saved is None:
            return None
        return {"flows": sorted(texts), "saved": restored and saved == _file(texts)}

    def marks(self):
        """List the networks with the ports that have saved flows."""
        return [{"id": network, "ports": ids_in(self.path(network))} for network in ids_in(self.directory)]

    def want(self, item, have):
        """Return the wanted port security. Ports that are not listed stay."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        ports = dict(have["ports"]) if have else {}
        for port in item["ports"]:
            ports.pop(check.uuid(port["id"]), None)
            if port["state"] == "present" and port["port_security_enabled"]:
                ports[port["id"]] = {"flows": flows(port, tap_name(port["id"])), "saved": True}
        return {"ports": ports} if ports else None

    def apply(self, steps, done):
        """Write the unit, then the ports of all networks in one bundle."""
        try:
            if any(step.want for step in steps) and not self._has_unit():
                remove(self.unit_link)  # a run that ends before the unit is enabled leaves none
                write_text(self.unit_file, self.unit)
                self.runner.write(["systemctl", "enable", UNIT_NAME])
        except (ItemError, OSError) as error:
            return {step.id: str(error) for step in steps}
        return together(self._write)(steps, done)

    def _write(self, steps):
        """Save the new flows first, so that an interrupted run loses none, and delete old files last."""
        changes = [change for step in steps for change in _changes(step)]
        for network_id, port_id, _have, want in changes:
            if want:
                os.makedirs(self.path(network_id), exist_ok=True)
                write_text(self.path(network_id, port_id), _file(want["flows"]))
        self._wait([tap_name(port_id) for _network_id, port_id, _have, want in changes if want])
        lines = [line for _network_id, _port_id, have, want in changes for line in _bundle(have, want)]
        if lines:
            self.runner.write(["ovs-ofctl", "bundle", self.bridge, "-"], stdin="".join(lines))
        for network_id, port_id, _have, want in changes:
            if not want:
                remove(self.path(network_id, port_id))
        for step in steps:
            if step.want is None:
                remove(self.path(step.id))

    def _wait(self, taps):
        """Wait for the numbers of ports, which the switch gives them after the transaction that creates them."""
        if taps:
            waits = [word for tap in taps for word in ("--", "wait-until", "Interface", tap, "ofport>0")]
            self.runner.read(["ovs-vsctl", "--timeout=20", *waits])


def _changes(step):
    """Yield (network id, port id, present port or None, wanted port or None) of the ports that change."""
    have, want = ((side or {"ports": {}})["ports"] for side in (step.have, step.want))
    for port_id in sorted(have.keys() | want.keys()):
        if have.get(port_id) != want.get(port_id):
            yield step.id, port_id, have.get(port_id), want.get(port_id)


def _bundle(have, want):
    """Yield the lines of a bundle that replaces the flows of a port; equal ones stay."""
    old, new = (set(port["flows"] if port else ()) for port in (have, want))
    for text in sorted(old - new):
        match = text.partition(" actions=")[0].replace(",", "/-1,", 1)  # the whole cookie
        yield f"flow delete_strict {match}\n"
    yield from _additions(new - old)


def _additions(texts):
    return [f"flow add {text}\n" for text in sorted(texts)]


def _file(texts):
    return "".join(_additions(texts))

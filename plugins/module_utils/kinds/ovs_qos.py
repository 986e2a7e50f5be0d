# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""QoS rules of ports: meters and flows that limit and mark what servers send and get."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, together
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove
from ansible_collections.skywright.cloud.plugins.module_utils.network_spec import NETWORKS
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import QOS, cookie
from ansible_collections.skywright.cloud.plugins.module_utils.qos_flows import (
    NUMBERS,
    flows,
    meter_id,
    meters,
    meters_of,
    number_in,
    number_of,
    number_of_meter,
    printed_meters,
)
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option
from ansible_collections.skywright.cloud.plugins.module_utils.switch_flows import (
    FlowKind,
    additions,
    port_changes,
    port_lines,
)
from ansible_collections.skywright.cloud.plugins.module_utils.switch_ports import patch_names, tap_name

# The switch also forgets its meters when it stops. A flow with a missing meter, or a missing port, must not stop the
# others.
UNIT = """\
[Unit]
Description=QoS rules of ports
After=ovs-vswitchd.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'files=$(find {directory} -type f ! -name ".*"); \\
  sed -n "s/^meter add //p" $files | while read -r meter; do ovs-ofctl -O OpenFlow13 add-meter {bridge} $meter; done; \\
  for file in $files; do sed -n "/^flow/p" $file | ovs-ofctl -O OpenFlow13 bundle {bridge} -; done; true'

[Install]
WantedBy=ovs-vswitchd.service
"""


class OvsQos(FlowKind):
    """The QoS rules of one host's ports.

    A network is {"ports": {port id: {"meters": [text], "flows": [text], "saved": bool}}}; saved ones are in a file,
    too, from which a unit restores them when the switch starts.
    """

    name, items, label = "ovs_qos", "networks", "network"
    item = NETWORKS
    after = ("ovs_port_security",)
    options = {
        **FlowKind.options,
        "directory": option("The directory of the saved meters and flows.", "path", default="/var/lib/skywright/qos"),
    }
    unit_name, unit_text = "skywright-qos.service", UNIT
    version = ("-O", "OpenFlow13")  # the first one with meters

    def __init__(self, **options):
        super().__init__(**options)
        self.present_meters = {}  # number of the meter: text
        self.numbers = {}  # port id: the number of its meters
        self.used_numbers = None

    def concerns(self, item):
        """Return whether ports are listed or removed."""
        return item["state"] == "absent" or bool(item["ports"])

    def provides(self, item):
        """A server without its limits must not start."""
        return [item["id"], *(port["id"] for port in item["ports"])]

    def path(self, network_id, *port_id):
        """Return the path of the files of a network, or of one port."""
        return os.path.join(self.directory, network_id, *port_id)

    def read(self, networks):
        """Read the meters and flows of the listed ports with rules, and of the ports with files."""
        ids = {}
        for item in networks:
            listed = {port["id"] for port in item["ports"] if port["qos"] and check.UUID.fullmatch(port["id"])}
            ids[item["id"]] = sorted(listed.union(ids_in(self.path(item["id"]))))
        every = [port_id for port_ids in ids.values() for port_id in port_ids]
        if every:
            self.present_meters = printed_meters(self.dump("dump-meters", self.bridge))
        present, restored, found = self.present(QOS, every), self.has_unit(), {}
        for network_id, port_ids in ids.items():
            ports = {one: self._read(network_id, one, present.get(cookie(QOS, one), set())) for one in port_ids}
            ports = {one: {**port, "saved": restored and port["saved"]} for one, port in ports.items() if port}
            if ports or os.path.isdir(self.path(network_id)):
                found[network_id] = {"ports": ports}
        return found

    def _read(self, network_id, port_id, texts):
        saved = read_text(self.path(network_id, port_id))
        if not texts and saved is None:
            return None
        number = self.numbers[port_id] = number_of(saved or "") or number_in(texts)
        found = [self.present_meters[meter] for meter in meters_of(number) if meter in self.present_meters]
        return {"meters": found, "flows": sorted(texts), "saved": saved == _file(number, found, texts)}

    def marks(self):
        """List the networks with the ports that have saved rules."""
        return [{"id": network, "ports": ids_in(self.path(network))} for network in ids_in(self.directory)]

    def want(self, item, have):
        """Return the wanted rules. Ports that are not listed stay."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        ports = dict(have["ports"]) if have else {}
        for port in item["ports"]:
            ports.pop(check.uuid(port["id"]), None)
            if port["state"] == "present" and port["qos"]:
                number = self._number(port["id"])
                texts = flows(port, tap_name(port["id"]), patch_names(port["id"])[1], number)
                ports[port["id"]] = {"meters": meters(port, item["mtu"], number), "flows": texts, "saved": True}
        return {"ports": ports} if ports else None

    def _number(self, port_id):
        """Return the number of a port's meters: the one that it has, or the first free one."""
        if not self.numbers.get(port_id):
            if self.used_numbers is None:
                paths = [self.path(one, port) for one in ids_in(self.directory) for port in ids_in(self.path(one))]
                saved = {number_of(read_text(path) or "") for path in paths}
                self.used_numbers = {*saved, *self.numbers.values(), *map(number_of_meter, self.present_meters)}
            number = next((number for number in NUMBERS if number not in self.used_numbers), None)
            if number is None:
                raise ItemError("all numbers of meters of this host are in use")
            self.used_numbers.add(number)
            self.numbers[port_id] = number
        return self.numbers[port_id]

    def apply(self, steps, done):
        """Write the unit, then the ports of all networks in one bundle."""
        try:
            if any(step.want for step in steps):
                self.enable_unit()
        except (ItemError, OSError) as error:
            return {step.id: str(error) for step in steps}
        return together(self._write)(steps, done)

    def _write(self, steps):
        """Save new rules first, so that an interrupted run loses none, and delete old meters and files last.

        The switch refuses a flow with a missing meter, and deletes the flows of a deleted one.
        """
        changes = [change for step in steps for change in port_changes(step)]
        for network_id, port_id, _have, want in changes:
            if want:
                self.save(self.path(network_id, port_id), _file(self.numbers[port_id], want["meters"], want["flows"]))
        wanted = {text for *_, want in changes if want for text in want["meters"]}
        for text in sorted(wanted - set(self.present_meters.values())):
            self._meter("mod-meter" if meter_id(text) in self.present_meters else "add-meter", text)
        self.wait([port_id for _network_id, port_id, _have, want in changes if want])
        self.send([line for _id, port_id, have, want in changes for line in port_lines(QOS, port_id, have, want)])
        kept = {meter_id(text) for text in wanted}
        for text in [text for *_, have, _want in changes if have for text in have["meters"]]:
            if meter_id(text) not in kept:
                self._meter("del-meters", f"meter={meter_id(text)}")
        for network_id, port_id, _have, want in changes:
            if not want:
                remove(self.path(network_id, port_id))
        for step in steps:
            if step.want is None:
                remove(self.path(step.id))

    def _meter(self, command, text):
        self.runner.write(["ovs-ofctl", *self.version, command, self.bridge, text])
        self.present_meters[meter_id(text)] = text


def _file(number, texts, flow_texts):
    lines = [f"# number {number}\n", *(f"meter add {text}\n" for text in texts), *additions(flow_texts)]
    return "".join(lines)

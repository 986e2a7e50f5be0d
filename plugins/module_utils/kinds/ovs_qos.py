# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""QoS rules of ports: meters and flows that limit and mark what servers send and get."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text
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
    PortFlowKind,
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


class OvsQos(PortFlowKind):
    """The QoS rules of one host's ports.

    A network is {"ports": {port id: {"meters": [text], "flows": [text], "saved": bool}}}; saved ones are in a file,
    too, from which a unit restores them when the switch starts.
    """

    name = "ovs_qos"
    after = ("ovs_port_security",)
    options = {
        **FlowKind.options,
        "directory": option("The directory of the saved meters and flows.", "path", default="/var/lib/skywright/qos"),
    }
    unit_name, unit_text = "skywright-qos.service", UNIT
    version = ("-O", "OpenFlow13")  # the first one with meters
    candidates, number_label = NUMBERS, "numbers of meters"
    saved_number = staticmethod(number_of)

    def __init__(self, **options):
        super().__init__(**options)
        self.present_meters = {}  # number of the meter: text

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
                number = self.number(port["id"])
                texts = flows(port, tap_name(port["id"]), patch_names(port["id"])[1], number)
                ports[port["id"]] = {"meters": meters(port, item["mtu"], number), "flows": texts, "saved": True}
        return {"ports": ports} if ports else None

    def used_numbers(self):
        """Return the numbers of all meters, also those without a file."""
        return {*super().used_numbers(), *self.numbers.values(), *map(number_of_meter, self.present_meters)}

    def write_together(self, steps):
        """Save new rules first, so that an interrupted run loses none, and delete old meters and files last.

        The switch refuses a flow with a missing meter, and deletes the flows of a deleted one.
        """
        changes = [change for step in steps for change in port_changes(step)]
        for network_id, port_id, _have, want in changes:
            if want:
                self.save(self.path(network_id, port_id), _file(self.numbers[port_id], want["meters"], want["flows"]))
        wanted = {text for *_, want in changes if want for text in want["meters"]}
        for text in sorted(wanted - set(self.present_meters.values())):
            self._write_meter("mod-meter" if meter_id(text) in self.present_meters else "add-meter", text)
            self.present_meters[meter_id(text)] = text
        self.wait([port_id for _network_id, port_id, _have, want in changes if want])
        self.send([line for _id, port_id, have, want in changes for line in port_lines(QOS, port_id, have, want)])
        kept = {meter_id(text) for text in wanted}
        for text in [text for *_, have, _want in changes if have for text in have["meters"]]:
            if meter_id(text) not in kept:
                self._write_meter("del-meters", f"meter={meter_id(text)}")
                self.present_meters.pop(meter_id(text), None)
        self.remove_files(steps)

    def _write_meter(self, command, text):
        self.runner.write(["ovs-ofctl", *self.version, command, self.bridge, text])


def _file(number, texts, flow_texts):
    lines = [f"# number {number}\n", *(f"meter add {text}\n" for text in texts), *additions(flow_texts)]
    return "".join(lines)

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds whose items are flows of the bridge of port security, and the files from which a unit restores these flows."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, together
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.network_spec import NETWORKS
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import PREFIX_MASK, cookie
from ansible_collections.skywright.cloud.plugins.module_utils.port_flows import in_port
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option
from ansible_collections.skywright.cloud.plugins.module_utils.switch_ports import patch_names, tap_name

# Reading the flows of a few cookies takes as long on a full bridge as on an empty one.
FEW_COOKIES = 8
UNIT_NAME = "skywright-port-security.service"
# The switch forgets its flows when it stops, and then drops all frames. A port that is missing since then must not stop
# the others.
UNIT = """\
[Unit]
Description=Flows of port security
After=ovs-vswitchd.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'files=$(find {directory} -type f ! -name ".*"); \\
  cat $files | ovs-ofctl bundle {bridge} - || for file in $files; do ovs-ofctl bundle {bridge} $file; done; true'

[Install]
WantedBy=ovs-vswitchd.service
"""


class FlowKind(Kind):
    """A kind whose items are flows. Their files are C(shared), C(groups/ID/flows) and C(networks/ID/PORT ID)."""

    options = {
        "bridge": option("The bridge of the taps with port security.", default="br-sec"),
        "directory": option("The directory of the saved flows.", "path", default="/var/lib/skywright/flows"),
        "unit_directory": option("The directory of the unit file.", "path", default="/etc/systemd/system"),
    }
    exclusive = "port-security"
    unit_name, unit_text = UNIT_NAME, UNIT
    version = ()  # the arguments of ovs-ofctl for flows that OpenFlow 1.0 lacks

    def __init__(self, **options):
        super().__init__(**options)
        self.bridge, self.directory = self.settings["bridge"], self.settings["directory"]
        units = self.settings["unit_directory"]
        self.unit_file = os.path.join(units, self.unit_name)
        self.unit_link = os.path.join(units, "ovs-vswitchd.service.wants", self.unit_name)
        self.unit = self.unit_text.format(directory=self.directory, bridge=self.bridge)

    def has_unit(self):
        """Return whether the unit restores the flows."""
        return os.path.lexists(self.unit_link) and read_text(self.unit_file) == self.unit

    def enable_unit(self):
        """Write and enable the unit, if it is missing."""
        if not self.has_unit():
            remove(self.unit_link)  # a run that ends before the unit is enabled leaves none
            write_text(self.unit_file, self.unit)
            self.runner.write(["systemctl", "enable", self.unit_name])

    def apply(self, steps, done):
        """Write the unit, then all items together."""
        try:
            if any(step.want for step in steps):
                self.enable_unit()
        except (ItemError, OSError) as error:
            return {step.id: str(error) for step in steps}
        return together(self.write_together)(steps, done)

    def write_together(self, steps):
        """Write items; raise ItemError or OSError on failure."""
        raise NotImplementedError

    def present(self, prefix, ids):
        """Return the flows of these ids, {cookie: {text}}. A bridge that does not exist yet has none."""
        masks = [f"{cookie(prefix, one)}/-1" for one in ids]
        if len(masks) > FEW_COOKIES:
            masks = [f"{prefix:#x}/{PREFIX_MASK:#x}"]
        found = {}
        for mask in masks:
            for line in self.dump("--names", "--no-stats", "dump-flows", self.bridge, f"cookie={mask}").splitlines():
                text = line.strip()
                found.setdefault(text[7:].partition(",")[0], set()).add(text)
        return found

    def dump(self, *argv):
        """Return the output of ovs-ofctl, empty if there is no bridge."""
        try:
            return self.runner.read(["ovs-ofctl", *self.version, *argv])
        except ItemError as error:
            if "is not a bridge" in str(error):
                return ""
            raise

    def save(self, path, text):
        """Write a file of flows."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_text(path, text)

    def send(self, lines):
        """Send changes of flows as one bundle; the switch applies all or none of them."""
        if lines:
            argv = ["ovs-ofctl", *self.version, "bundle", self.bridge, "-"]
            self.runner.write(argv, stdin="".join(dict.fromkeys(lines)))


class PortFlowKind(FlowKind):
    """A kind whose items are flows of the ports of networks, in the files C(NETWORK ID/PORT ID) of C(self.networks).

    Ports can have a number each, one of C(candidates), which their files keep.
    """

    items, label = "networks", "network"
    item = NETWORKS
    candidates, number_label = (), ""

    def __init__(self, **options):
        super().__init__(**options)
        self.networks = self.directory
        self.numbers = {}  # port id: the number in its file
        self._used_numbers = None

    def concerns(self, item):
        """Return whether ports are listed or removed."""
        return item["state"] == "absent" or bool(item["ports"])

    def provides(self, item):
        """A server without these flows must not start."""
        return [item["id"], *(port["id"] for port in item["ports"])]

    def path(self, network_id, *port_id):
        """Return the path of the files of a network, or of one port."""
        return os.path.join(self.networks, network_id, *port_id)

    @staticmethod
    def saved_number(text):
        """Return the number in the text of a port's file, or None."""
        raise NotImplementedError

    def used_numbers(self):
        """Return the numbers of all ports of the host."""
        paths = [self.path(one, port) for one in ids_in(self.networks) for port in ids_in(self.path(one))]
        return {self.saved_number(read_text(path) or "") for path in paths}

    def number(self, port_id):
        """Return the number of a port: the one that it has, or the first free one."""
        if not self.numbers.get(port_id):
            if self._used_numbers is None:
                self._used_numbers = self.used_numbers()
            number = next((number for number in self.candidates if number not in self._used_numbers), None)
            if number is None:
                raise ItemError(f"all {self.number_label} of this host are in use")
            self._used_numbers.add(number)
            self.numbers[port_id] = number
        return self.numbers[port_id]

    def remove_files(self, steps):
        """Remove the files of ports and networks that are not wanted."""
        for network_id, port_id, _have, want in [change for step in steps for change in port_changes(step)]:
            if not want:
                remove(self.path(network_id, port_id))
        for step in steps:
            if step.want is None:
                remove(self.path(step.id))

    def wait(self, port_ids):
        """Wait for the numbers of ports, which the switch gives them after the transaction that creates them."""
        names = [name for port_id in port_ids for name in (tap_name(port_id), patch_names(port_id)[1])]
        if names:
            waits = [word for name in names for word in ("--", "wait-until", "Interface", name, "ofport>0")]
            seconds = 20 + len(names) // 10  # a switch needs longer for many new ports
            self.runner.read(["ovs-vsctl", f"--timeout={seconds}", *waits], timeout=seconds + 10)


def port_changes(step):
    """Yield (network id, port id, present port or None, wanted port or None) of the ports that change."""
    have, want = ((side or {"ports": {}})["ports"] for side in (step.have, step.want))
    for port_id in sorted(have.keys() | want.keys()):
        if have.get(port_id) != want.get(port_id):
            yield step.id, port_id, have.get(port_id), want.get(port_id)


def port_lines(prefix, port_id, have, want):
    """Return the lines of a bundle that replaces the flows of a port with cookies of C(prefix); equal ones stay."""
    old, new = (set(port["flows"] if port else ()) for port in (have, want))
    here = [in_port(name) for name in (tap_name(port_id), patch_names(port_id)[1])]
    used = [{match for match in here if any(match in text for text in texts)} for texts in (old, new)]
    if want and (not old or used[1] - used[0]):
        # The flows of a removed port act on the next port that gets its number.
        gone = (f"flow delete cookie={prefix:#x}/{PREFIX_MASK:#x},{match}\n" for match in here)
        return [*replacement(old, set()), *gone, *additions(new)]
    return replacement(old, new)


def replacement(old, new):
    """Return the lines of a bundle that replace flows; equal ones stay."""
    kept = {_match(text) for text in new}  # a flow that is added replaces the one with the same match
    gone = sorted(match for match in map(_match, old - new) if match not in kept)
    return [*(f"flow delete_strict {match}\n" for match in gone), *additions(new - old)]


def _match(text):
    """Return what identifies a flow: its whole cookie, its table, its priority and its match."""
    cookie, _, match = text.partition(" actions=")[0].partition(", ")
    return f"{cookie}/-1, {match}" if match.startswith("table=") else f"{cookie}/-1, table=0, {match}"


def additions(texts):
    """Return the lines of a bundle or of a file that add flows."""
    return [f"flow add {text}\n" for text in sorted(texts)]

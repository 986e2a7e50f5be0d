# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds whose items are flows of the bridge of port security, and the files from which a unit restores these flows."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
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

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds whose items are flows of the bridge of port security, and the files from which a unit restores these flows."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, remove, write_text
from ansible_collections.skywright.cloud.plugins.module_utils.kind import Kind
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import PREFIX_MASK, cookie
from ansible_collections.skywright.cloud.plugins.module_utils.spec import option

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

    def __init__(self, **options):
        super().__init__(**options)
        self.bridge, self.directory = self.settings["bridge"], self.settings["directory"]
        units = self.settings["unit_directory"]
        self.unit_file = os.path.join(units, UNIT_NAME)
        self.unit_link = os.path.join(units, "ovs-vswitchd.service.wants", UNIT_NAME)
        self.unit = UNIT.format(directory=self.directory, bridge=self.bridge)

    def has_unit(self):
        """Return whether the unit restores the flows."""
        return os.path.lexists(self.unit_link) and read_text(self.unit_file) == self.unit

    def enable_unit(self):
        """Write and enable the unit, if it is missing."""
        if not self.has_unit():
            remove(self.unit_link)  # a run that ends before the unit is enabled leaves none
            write_text(self.unit_file, self.unit)
            self.runner.write(["systemctl", "enable", UNIT_NAME])

    def present(self, prefix, ids):
        """Return the flows of these ids, {cookie: {text}}. A bridge that does not exist yet has none."""
        masks = [f"{cookie(prefix, one)}/-1" for one in ids]
        if len(masks) > FEW_COOKIES:
            masks = [f"{prefix:#x}/{PREFIX_MASK:#x}"]
        found = {}
        for mask in masks:
            for line in self._dump(mask).splitlines():
                text = line.strip()
                found.setdefault(text[7:].partition(",")[0], set()).add(text)
        return found

    def _dump(self, mask):
        argv = ["ovs-ofctl", "--names", "--no-stats", "dump-flows", self.bridge, f"cookie={mask}"]
        try:
            return self.runner.read(argv)
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
            self.runner.write(["ovs-ofctl", "bundle", self.bridge, "-"], stdin="".join(dict.fromkeys(lines)))


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

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The alias of a server's tap, which identifies the device also without its port on the switch."""

from __future__ import annotations

import os
import re

from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text

DEVICES = "/sys/class/net"
MARK = re.compile(r"skywright:([0-9a-f-]{36}):([0-9a-f-]{36})")


def mark(network_id, port_id):
    """Return the alias of a port's tap."""
    return f"skywright:{network_id}:{port_id}"


def marked(directory=DEVICES):
    """List the taps of the host as (device, network id, port id)."""
    names = [name for name in sorted(os.listdir(directory)) if name.startswith("tap")]
    found = [(name, MARK.fullmatch((_alias(directory, name) or "").strip())) for name in names]
    return [(name, *match.groups()) for name, match in found if match]


def _alias(directory, name):
    try:
        return read_text(os.path.join(directory, name, "ifalias"))
    except OSError:  # the device has been removed
        return None

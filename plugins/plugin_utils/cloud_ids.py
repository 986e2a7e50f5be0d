# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ids of declared resources, which are derived from their names."""

from __future__ import annotations

import hashlib
import uuid

NAMESPACE = uuid.UUID("6b1d0f3e-5d0c-5a64-9d0e-6a1c3f0b7a11")


def cloud_id(kind, *names):
    """Return the UUID of a declared resource."""
    return str(uuid.uuid5(NAMESPACE, "/".join((kind, *names))))


def cloud_mac(port_id):
    """Return the MAC address of a port, in the range of OpenStack."""
    digest = hashlib.sha256(port_id.encode()).digest()
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in digest[:3])

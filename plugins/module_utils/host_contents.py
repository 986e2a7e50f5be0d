# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What of the cloud a host carries, by the marks of each kind."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import is_null
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import LIBVIRT_URI, make


def contents(settings):
    """List what carries the cloud's marks, {kind: [mark]}; (that, why some could not be read and are null)."""
    found, errors = {}, []
    for kind in [] if is_null(settings[LIBVIRT_URI]) else KINDS:
        found[kind.name] = None
        try:
            found[kind.name] = make(kind, settings).marks()
        except (ItemError, OSError, ValueError) as error:
            errors.append(str(error))
    return found, errors


def removal(found):
    """Give the items that would remove *found*, in no order."""
    ids = {kind.items: set() for kind in KINDS}
    for kind in KINDS:
        ids[kind.items] |= {mark["id"] for mark in found.get(kind.name) or []}
    return {name: [{"id": one, "state": "absent"} for one in sorted(each)] for name, each in ids.items() if each}

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of M(skywright.cloud.host_items): the item lists of all kinds, and their settings."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.kind import UNMET
from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import dict_of, option

SETTINGS = {variable: kind.options[name] for kind in KINDS for name, variable in kind.variables.items()}
LIBVIRT_URI = "hypervisor_libvirt_uri"
LISTS = {kind.items: kind.item for kind in KINDS}


def make(kind, settings):
    """Return a kind with the settings {variable: value} of its host."""
    return kind(**{name: settings.get(variable) for name, variable in kind.variables.items()})


HOST_ITEMS = {
    "items": dict(dict_of("The items, by list.", **LISTS), required=True),
    **SETTINGS,
    "unmet": UNMET,
    "progress": option("A named pipe on the host that gets each result when it is final.", "path"),
}

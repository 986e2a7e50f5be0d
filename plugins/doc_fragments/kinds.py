# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of the modules of kinds, generated from their argument specs."""

from __future__ import annotations

import json

from ansible_collections.skywright.cloud.plugins.module_utils.kinds import KINDS
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import HOST_ITEMS, SETTINGS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import documentation


def _fragment(options):
    return json.dumps({"options": documentation(options)})


class ModuleDocFragment:
    """Fragments C(skywright.cloud.kinds.NAME), one per module of a kind and two for the modules of all kinds."""


for _kind in KINDS:
    setattr(ModuleDocFragment, _kind.name.upper(), _fragment(_kind.module_options()))
ModuleDocFragment.HOST_ITEMS = _fragment(HOST_ITEMS)
ModuleDocFragment.SETTINGS = _fragment(SETTINGS)

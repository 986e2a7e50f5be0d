# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of M(skywright.cloud.host_info)."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.modules.host_info import SPEC
from ansible_collections.skywright.cloud.plugins.plugin_utils.host_settings import HostSettingsAction


class ActionModule(HostSettingsAction):
    """Adds the settings."""

    name = "host_info"
    spec = SPEC

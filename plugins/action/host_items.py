# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of M(skywright.cloud.host_items)."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.modules.host_items import SPEC
from ansible_collections.skywright.cloud.plugins.plugin_utils.host_settings import HostSettingsAction

PROGRESS = "skywright_progress"


class ActionModule(HostSettingsAction):
    """Adds the pipe for results, which only runs of jobs have."""

    name = "host_items"
    spec = SPEC

    def settings(self, variables):
        """Give the settings and the pipe."""
        found = super().settings(variables)
        return {**found, "progress": variables[PROGRESS]} if PROGRESS in variables else found

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Actions whose modules take the settings of kinds from the host's variables."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import SETTINGS
from ansible_collections.skywright.cloud.plugins.plugin_utils.host_python import HostPythonAction


class HostSettingsAction(HostPythonAction):
    """Adds the host's settings; the task's own arguments win."""

    def arguments(self, variables):
        """Give the settings and the task's arguments."""
        return {**self.settings(variables), **self._task.args}

    def settings(self, variables):
        """Give the settings among the host's variables."""
        return self._templar.template({name: variables[name] for name in SETTINGS if name in variables})

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Actions whose modules take the settings of kinds from the host's variables."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import SETTINGS


class HostSettingsAction(ActionBase):
    """Runs the module of its name with the host's settings; the task's own arguments win."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Add the settings, and run."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = {**self.settings(variables), **self._task.args}
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result

    def settings(self, variables):
        """Give the settings among the host's variables."""
        return self._templar.template({name: variables[name] for name in SETTINGS if name in variables})

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of M(skywright.cloud.host_items): settings come from the host's variables."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import VARIABLES

PROGRESS = "skywright_progress"


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """Add the settings, and run."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        settings = {name: variables[found] for name, found in VARIABLES.items() if found in variables}
        settings = self._templar.template(settings)
        if PROGRESS in variables:
            settings["progress"] = variables[PROGRESS]
        arguments = {**settings, **self._task.args}
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result

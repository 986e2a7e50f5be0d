# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Modules on a host without Ansible's own code, which takes a host longer to import than most modules run.

The action plugin has validated the arguments, and sends them to standard input. See plugin_utils/host_python.py.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from ansible_collections.skywright.cloud.plugins.module_utils.caller import watch_caller

MODULES = "ansible_collections.skywright.cloud.plugins.module_utils"


class HostModule:
    """What modules use of AnsibleModule."""

    def __init__(self, params, check_mode, diff):
        self.params = params
        self.check_mode = check_mode
        self._diff = diff

    def exit_json(self, **result):
        """Print the result, and end."""
        print(json.dumps(result))
        sys.exit(0)

    def fail_json(self, msg, **result):
        """Print that the module failed, and end."""
        print(json.dumps({**result, "failed": True, "msg": msg}))
        sys.exit(1)


def main():
    """Run the module that standard input names: {"name", "params", "check_mode", "diff"}."""
    request = json.load(sys.stdin)
    watch_caller()
    run = importlib.import_module(f"{MODULES}.{request.pop('name')}").run
    try:
        run(HostModule(**request))
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code)  # without unloading libvirt and Python's modules, a tenth of the time of a short module

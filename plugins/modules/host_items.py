#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_items
short_description: Everything of the cloud that one host carries
description:
  - Converges items of all kinds in one process, which costs little more than one kind alone. Each kind has a module of
    its own, too.
  - What does not depend on each other runs at the same time. Present items converge in the order of their kinds, absent
    ones in the reverse order.
  - What needs an item that failed, such as a server whose image could not be fetched, is not touched and fails with the
    same reason.
  - Settings are called as variables of hosts, and are taken from those if they are not given.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.host_items
"""

EXAMPLES = r"""
- name: A network with a server
  skywright.cloud.host_items:
    items:
      networks:
        - id: 0a0b0c0d-0000-4000-8000-000000000001
          segmentation_id: 1001
          ports:
            - id: 1a0b0c0d-0000-4000-8000-000000000002
              mac: fa:16:3e:00:00:01
      servers:
        - id: 0a0b0c0d-0000-4000-8000-000000000004
          image_id: 0a0b0c0d-0000-4000-8000-000000000003
          ports:
            - id: 1a0b0c0d-0000-4000-8000-000000000002
              mac: fa:16:3e:00:00:01
"""

RETURN = r"""
results:
  description: One entry for each item and each kind that converges it; C(kind) names that.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000001, kind: ovs_network, changed: true, action: create}]
commands:
  description: The programs and calls that changed something.
  returned: always
  type: list
  elements: list
  sample: [[ovs-vsctl, --no-wait, --, add-port, br-int, tap1a0b0c0d-00]]
"""

import json
import os
import threading
from contextlib import suppress

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.converge import answer
from ansible_collections.skywright.cloud.plugins.module_utils.host_run import HostRun
from ansible_collections.skywright.cloud.plugins.module_utils.kind import handed_on
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import HOST_ITEMS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs

# What of a result tells how the item is; logs and differences come with the module's answer.
TOLD = ("id", "kind", "changed", "action", "status", "error", "final")


class Progress:
    """Writes results into a pipe, each as a line of JSON; nobody waits for a reader that is late, slow or gone."""

    def __init__(self, path):
        self._path = path
        self._pipe = None
        self._pending = b""
        self._turn = threading.Lock()

    def __call__(self, result):
        line = json.dumps({name: result[name] for name in TOLD if name in result}) + "\n"
        with self._turn, suppress(OSError):  # what is lost here comes with the module's answer
            self._pending += line.encode()
            if self._pipe is None:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._pending = self._pending[os.write(self._pipe, self._pending) :]


def main():
    """Converge the host."""
    module = AnsibleModule(argument_spec=argument_specs(HOST_ITEMS), supports_check_mode=True)
    end_with_caller()
    params = module.params
    report = Progress(params["progress"]) if params["progress"] and not module.check_mode else None
    run = HostRun(params["items"], params, module.check_mode, handed_on(params["unmet"]), report)
    results, commands = run.converge()
    answer(module, results, commands)


if __name__ == "__main__":
    main()

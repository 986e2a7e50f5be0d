#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: run_processes
short_description: End the processes that runs left on a host
description:
  - A process belongs to a run when its environment has the variable E(LC_SKYWRIGHT_RUN) with the run's id, or when it
    is a descendant of such a process. Workers start Ansible with that variable, and ssh passes it on.
  - Processes get SIGTERM, and SIGKILL after a second. A run whose processes live on for ten seconds has an error.
  - The module must see the variable itself, with any value. Otherwise the SSH server does not accept it
    (C(AcceptEnv LC_*) in sshd_config), and every run has an error, because its processes cannot be recognized.
options:
  runs:
    description: The ids of ended runs.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Returns which runs have processes, and ends none.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: End the processes of a canceled run
  skywright.cloud.run_processes:
    runs: [0a0b0c0d-0000-4000-8000-000000000004]
  become: true
"""

RETURN = r"""
results:
  description: One entry per run, which is changed if the run had processes.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: true, action: delete}]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import processes
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge

SPEC = {"runs": {"type": "list", "elements": "str", "required": True}}


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)

    def read(items):
        found = processes.find([item["id"] for item in items])
        return {run: {"processes": sorted(names.values())} for run, names in found.items() if names}

    def want(_item, _have):
        if processes.MARK not in os.environ:
            raise ItemError(f"{processes.MARK} does not reach the host: the SSH server has to accept it (AcceptEnv)")

    def apply(steps):
        left = processes.end([step.id for step in steps])
        return {run: "it does not end: " + _words(names) for run, names in left.items()}

    items = [{"id": run} for run in module.params["runs"]]
    converge(module, items=items, read=read, want=want, apply=apply)


def _words(names):
    return ", ".join(f"process {pid} ({name})" for pid, name in sorted(names.items()))


if __name__ == "__main__":
    main()

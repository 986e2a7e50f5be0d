#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of a node of a Galera cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: galera_info
short_description: Gather facts about a node of a Galera cluster
description:
  - Returns the state of the service, the status of the cluster from the server, and the state of the data on disk.
  - The position of a running or crashed server is not exact (C(seqno) is -1).
options:
  name:
    description: The node's name in the returned facts.
    type: str
    required: true
attributes:
  check_mode:
    description: It only reads.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Gather facts about the node
  skywright.cloud.galera_info:
    name: "{{ inventory_hostname }}"
  register: seen
"""

RETURN = r"""
node:
  description: The facts of the node, as the filter C(galera_decision) expects them.
  returned: always
  type: dict
  sample:
    name: controller1
    error: null
    unit: active
    primary: true
    synced: true
    uuid: 4bbf71fb-c538-11f0-9ad8-6b4a2b1c33ef
    position: {uuid: 4bbf71fb-c538-11f0-9ad8-6b4a2b1c33ef, seqno: -1}
    exact: false
    sound: true
    safe: false
    partial: false
    databases: [skywright]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError
from ansible_collections.skywright.cloud.plugins.module_utils.galera_node import Node


def main():
    """Gather the facts."""
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, node=Node(module.params["name"]).facts())
    except (ItemError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()

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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.host_items import run
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import HOST_ITEMS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs

SPEC = argument_specs(HOST_ITEMS)


def main():
    """Converge the host."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    end_with_caller()
    run(module)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: server_disk
short_description: Manage servers' directories with disks and config drives
description:
  - A server's disk is a qcow2 overlay on an image of the host's cache. It only grows. The module does not
    create the missing disk of a server that ran before, because its data is lost.
  - Use M(skywright.cloud.image_cache) before, which downloads the images into the host's cache.
  - The config drive is an ISO image with the label C(config-2) in OpenStack's layout. The module rewrites it
    only when its content changes; a digest of the content is next to it.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.server_disk
"""

EXAMPLES = r"""
- name: Create a disk of 1 GiB
  skywright.cloud.server_disk:
    servers:
      - id: 0a0b0c0d-0000-4000-8000-000000000004
        image_id: 0a0b0c0d-0000-4000-8000-000000000003
        disk_gib: 1
        config_drive:
          meta_data: {uuid: 0a0b0c0d-0000-4000-8000-000000000004, hostname: web-1}
"""

RETURN = r"""
results:
  description: One entry per server.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: true, action: create, status: present}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[qemu-img, create, -f, qcow2, disk]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.server_disk import ServerDisk


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=ServerDisk.argument_spec(), supports_check_mode=True)
    converge_alone(module, ServerDisk)


if __name__ == "__main__":
    main()

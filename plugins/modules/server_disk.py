#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: server_disk
short_description: Servers' directories with their disks and config drives
description:
  - A server's disk is a qcow2 overlay on an image of the host's cache. It only ever grows. The disk of a server that
    ran before is never made anew, since what its user stored on it would be gone for good.
  - Base images that are missing are brought into the host's cache first, as M(skywright.cloud.image_cache) does.
  - The config drive is an ISO image with the label C(config-2) in OpenStack's layout. It is rewritten only when its
    content differs; a digest of the content is kept next to it.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.server_disk
"""

EXAMPLES = r"""
- name: A disk of one gigabyte
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
  description: One entry an image or a server.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: true, action: create, status: present}]
commands:
  description: The programs that were run to change something.
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

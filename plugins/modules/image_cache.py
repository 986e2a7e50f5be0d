#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: image_cache
short_description: Manage base images in a host's cache
description:
  - Downloads a missing image, verifies its checksum, refuses images that refer to other files, converts the image to
    qcow2 and renames it into place.
  - The module does not check images in the cache again, because images do not change. An absent image stays in the
    cache while a server's disk is based on it; remove it again after the server.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.image_cache
"""

EXAMPLES = r"""
- name: Download a base image
  skywright.cloud.image_cache:
    images:
      - id: 0a0b0c0d-0000-4000-8000-000000000003
        url: http://10.64.0.1:8000/image/v2/images/0a0b0c0d-0000-4000-8000-000000000003/file
        checksum: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

RETURN = r"""
results:
  description: One entry per image.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000003, changed: true, action: create, status: present}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[qemu-img, convert, -f, raw, -O, qcow2, from, to]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.image_cache import ImageCache


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=ImageCache.argument_spec(), supports_check_mode=True)
    converge_alone(module, ImageCache)


if __name__ == "__main__":
    main()

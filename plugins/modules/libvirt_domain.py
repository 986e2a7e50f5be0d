#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_domain
short_description: Manage servers as libvirt domains
description:
  - Defines, starts, stops, reboots and undefines domains, through one connection to libvirt.
  - The module compares the parts of the definition that it decides with the definition in libvirt. A changed
    definition of a running domain takes effect at its next boot, except for removed interfaces, which the module
    detaches from the running guest.
  - The module removes the directory of an absent server after its domain, which may use the directory until it ends.
  - A domain has the UUID of its server and the name C(instance-) plus the UUID.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.libvirt_domain
"""

EXAMPLES = r"""
- name: Run a server
  skywright.cloud.libvirt_domain:
    servers:
      - id: 0a0b0c0d-0000-4000-8000-000000000004
        name: web-1
        memory_mib: 256
        ports:
          - id: 1a0b0c0d-0000-4000-8000-000000000002
            mac: fa:16:3e:00:00:01
"""

RETURN = r"""
results:
  description: One entry per server; C(status) is its power state.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: true, action: create, status: running}]
commands:
  description: The calls that changed something, as name of the call and UUID of the domain.
  returned: always
  type: list
  elements: list
  sample: [[define, 0a0b0c0d-0000-4000-8000-000000000004], [start, 0a0b0c0d-0000-4000-8000-000000000004]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.libvirt_domain import LibvirtDomain


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=LibvirtDomain.argument_spec(), supports_check_mode=True)
    converge_alone(module, LibvirtDomain)


if __name__ == "__main__":
    main()

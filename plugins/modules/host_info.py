#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Capacity, versions and domains of a host
description:
  - Returns what the scheduler and the administrator need to know of a host, and every server's power state.
  - What cannot be read is null and explained in C(errors); this never fails.
options:
  contents:
    description: Whether to list also all that carries this cloud's marks.
    type: bool
    default: false
  directory:
    description: The file system that holds images and disks is the one of this directory.
    type: path
    default: /var/lib/skywright
extends_documentation_fragment:
  - skywright.cloud.kinds.settings
attributes:
  check_mode:
    description: It only reads.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: What the host has
  skywright.cloud.host_info:
  register: host
"""

RETURN = r"""
host:
  description: The host.
  returned: always
  type: dict
  sample:
    vcpus: 4
    memory_mib: 8192
    disk_gib: 100
    disk_free_gib: 60
    disk_overcommit_gib: 20
    libvirt_version: 9.0.0
    hypervisor_type: QEMU
    hypervisor_version: 7002022
    cpu_info:
      arch: x86_64
      model: EPYC
      vendor: AMD
      topology: {cells: 1, sockets: 1, cores: 4, threads: 1}
      maxphysaddr: {mode: emulate, bits: 48}
      features: [avx2, x2apic]
    ovs_version: 3.1.0
    uptime: "09:12:41 up 3 days,  2:05,  0 users,  load average: 0.20, 0.12, 0.14"
    address: 10.0.0.21
    boot: 1b4e28ba-2fa1-41d2-883f-0016d3cca427.12
    domains: [{id: 0a0b0c0d-0000-4000-8000-000000000004, power: running, reason: null}]
    contents:
      ovs_network: [{id: 0a0b0c0d-0000-4000-8000-000000000001, name: dh0a0b0c0d-00, port_id: null, peer: null}]
      ovs_security_group: [{id: 5a0b0c0d-0000-4000-8000-000000000001}]
      ovs_port_security: [{id: 0a0b0c0d-0000-4000-8000-000000000001, ports: []}]
      ovs_qos: []
      dhcp_network: [{id: 0a0b0c0d-0000-4000-8000-000000000001, ports: []}]
      router: [{id: 2a0b0c0d-0000-4000-8000-000000000005}]
      image_cache: []
      server_disk: [{id: 0a0b0c0d-0000-4000-8000-000000000004, disk: true, image_id: null}]
      libvirt_domain: [{id: 0a0b0c0d-0000-4000-8000-000000000004, power: running, reason: null}]
    errors: []
removal:
  description: The items with which M(skywright.cloud.host_items) would remove all that carries this cloud's marks.
  returned: if O(contents)
  type: dict
  sample:
    networks: [{id: 0a0b0c0d-0000-4000-8000-000000000001, state: absent}]
    servers: [{id: 0a0b0c0d-0000-4000-8000-000000000004, state: absent}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.host_info import run
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.options import SETTINGS
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs

SPEC = {
    "directory": {"type": "path", "default": "/var/lib/skywright"},
    "contents": {"type": "bool", "default": False},
    **argument_specs(SETTINGS),
}


def main():
    """Gather the facts."""
    run(AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()

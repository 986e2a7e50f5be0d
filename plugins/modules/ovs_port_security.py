#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_port_security
short_description: Drop frames that servers must not send or get
description:
  - Frames of a port with port security pass if their source is the port's MAC address with one of its addresses, or an
    allowed address pair. That holds for IP, ARP and neighbour discovery. A server can be neither a DHCP server nor an
    IPv6 router.
  - If the port has a list of security groups, IP packets in both directions pass only if a rule of one of them allows
    it, or its connection. DHCP, ARP and neighbour discovery always pass.
  - Each port has flows with a cookie of its own on the bridge of port security, where M(skywright.cloud.ovs_network)
    puts its tap. Only flows that differ are replaced, all in one bundle, so that no other frame is lost.
  - The flows are also saved in files, from which a unit restores them when the switch starts.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.ovs_port_security
"""

EXAMPLES = r"""
- name: A server sends only from its own address, and from one that it shares with another
  skywright.cloud.ovs_port_security:
    networks:
      - id: 0a0b0c0d-0000-4000-8000-000000000001
        ports:
          - id: 1a0b0c0d-0000-4000-8000-000000000002
            mac: fa:16:3e:00:00:01
            addresses: [10.0.0.5]
            port_security_enabled: true
            allowed_address_pairs:
              - ip_address: 10.0.0.100
            security_groups: [5a0b0c0d-0000-4000-8000-000000000001]
"""

RETURN = r"""
results:
  description: One entry per network with ports.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000001, changed: true, action: create, status: present}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[ovs-ofctl, bundle, br-sec, "-", flow add cookie=0x736b791a0b0c0d00]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_port_security import OvsPortSecurity


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=OvsPortSecurity.argument_spec(), supports_check_mode=True)
    converge_alone(module, OvsPortSecurity)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_qos
short_description: Limit and mark what servers send and get
description:
  - The rules of a port limit the bits and the packets of a second in each direction, and set the differentiated
    services code point of the IP packets that the server sends. What exceeds a limit is dropped.
  - A limit is a meter of the switch. Each port has flows with a cookie of its own on the bridge of port security, where
    M(skywright.cloud.ovs_network) puts the taps of such ports. They act on what M(skywright.cloud.ovs_port_security)
    lets pass.
  - The meters and flows are also saved in files, from which a unit restores them when the switch starts.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.ovs_qos
"""

EXAMPLES = r"""
- name: A server sends at most 10 Mbit/s, and its packets are marked
  skywright.cloud.ovs_qos:
    networks:
      - id: 0a0b0c0d-0000-4000-8000-000000000001
        ports:
          - id: 1a0b0c0d-0000-4000-8000-000000000002
            port_security_enabled: true
            qos:
              bandwidth_limits: [{direction: egress, max_kbps: 10000}]
              dscp_mark: 26
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
  sample: [[ovs-ofctl, -O, OpenFlow13, bundle, br-sec, "-", flow add cookie=0x736b711a0b0c0d00]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_qos import OvsQos


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=OvsQos.argument_spec(), supports_check_mode=True)
    converge_alone(module, OvsQos)


if __name__ == "__main__":
    main()

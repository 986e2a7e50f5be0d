#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_network
short_description: Manage tenant networks on a host's integration bridge
description:
  - Gives each network a local VLAN tag on the integration bridge, connects hosts by tunnels or a physical network, and
    creates the ports of servers and of DHCP servers.
  - Creates the taps of servers. They stay while a server is off or reboots, because the userspace datapath does not
    notice that a device was replaced by another one of the same name.
  - Everything else is in the database of Open vSwitch, marked with the network's id in C(external_ids), so it
    survives restarts of the switch and of the host. The module writes all networks in one transaction.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.ovs_network
"""

EXAMPLES = r"""
- name: Create a network with a server on this host and others on 172.20.1.12
  skywright.cloud.ovs_network:
    networks:
      - id: 0a0b0c0d-0000-4000-8000-000000000001
        segmentation_id: 1001
        peers: [172.20.1.12]
        ports:
          - id: 1a0b0c0d-0000-4000-8000-000000000002
            mac: fa:16:3e:00:00:01
"""

RETURN = r"""
results:
  description: One entry per network.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000001, changed: true, action: create, status: present}]
commands:
  description: The transactions that changed something.
  returned: always
  type: list
  elements: list
  sample: [[ovs-vsctl, --no-wait, --, add-port, br-int, tap1a0b0c0d-00]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_network import OvsNetwork


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=OvsNetwork.argument_spec(), supports_check_mode=True)
    converge_alone(module, OvsNetwork)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: router
short_description: Manage routers in network namespaces
description:
  - A router is a network namespace with interfaces, routes and a packet filter. It connects networks with each other
    and with an external network, and translates IPv4 addresses of connections to and from the external network.
  - M(skywright.cloud.ovs_network) creates the interfaces, as ports with O(ignore:networks[].ports[].device=veth). This
    module moves them into the namespace.
  - The packet filter is replaced in one transaction. Connections go on, except for those of floating IPs and port
    forwardings that are gone.
  - New addresses of floating IPs are announced to the external network by gratuitous ARP.
  - The module changes no settings outside the namespaces of its routers.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.router
"""

EXAMPLES = r"""
- name: A router between a network and an external network, with a floating IP
  skywright.cloud.router:
    routers:
      - id: 2a0b0c0d-0000-4000-8000-000000000001
        interfaces:
          - port_id: 1a0b0c0d-0000-4000-8000-000000000003
            mac: fa:16:3e:00:00:03
            addresses: [10.0.0.1/24]
          - port_id: 1a0b0c0d-0000-4000-8000-000000000004
            mac: fa:16:3e:00:00:04
            mtu: 1500
            addresses: [203.0.113.10/24]
            external: true
        gateways: [203.0.113.1]
        snat_address: 203.0.113.10
        floating_ips:
          - id: 4a0b0c0d-0000-4000-8000-000000000005
            floating_ip_address: 203.0.113.20
            fixed_ip_address: 10.0.0.5
"""

RETURN = r"""
results:
  description: One entry per router.
  returned: always
  type: list
  elements: dict
  sample: [{id: 2a0b0c0d-0000-4000-8000-000000000001, changed: true, action: create, status: present}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[ip, netns, add, router-2a0b0c0d-0000-4000-8000-000000000001]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.router import Router


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=Router.argument_spec(), supports_check_mode=True)
    converge_alone(module, Router)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: dhcp_network
short_description: Manage DHCP servers of tenant networks
description:
  - Runs one dnsmasq per network in its own network namespace, which a veth pair connects to the integration bridge.
    M(skywright.cloud.ovs_network) creates the port on the bridge.
  - Only listed ports get an address, always the same one. dnsmasq reads changed entries and options on a signal; it
    restarts only if the addresses of the server change.
  - Each server is a systemd unit that uses only ip, ethtool and dnsmasq, so it starts again when the host boots.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.dhcp_network
"""

EXAMPLES = r"""
- name: Serve a network with one subnet and one guest
  skywright.cloud.dhcp_network:
    networks:
      - id: 0a0b0c0d-0000-4000-8000-000000000001
        dhcp:
          mac: fa:16:3e:00:00:fe
          subnets:
            - id: 0a0b0c0d-0000-4000-8000-000000000005
              cidr: 10.0.0.0/24
              address: 10.0.0.2
              gateway_ip: 10.0.0.1
          hosts:
            - id: 1a0b0c0d-0000-4000-8000-000000000002
              mac: fa:16:3e:00:00:01
              hostname: web-1
              addresses: [10.0.0.5]
              names:
                - address: 10.0.0.5
                  names: [web-1.skywright.internal, web-1]
              options:
                - name: ntp-server
                  value: 10.0.0.1
"""

RETURN = r"""
results:
  description: One entry per network.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000001, changed: true, action: update, status: running}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[systemctl, reload-or-restart, skywright-dhcp@0a0b0c0d-0000-4000-8000-000000000001.service]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.dhcp_network import DhcpNetwork


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=DhcpNetwork.argument_spec(), supports_check_mode=True)
    converge_alone(module, DhcpNetwork)


if __name__ == "__main__":
    main()

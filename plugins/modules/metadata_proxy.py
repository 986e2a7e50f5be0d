#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: metadata_proxy
short_description: Manage metadata proxies of tenant networks
description:
  - Runs one HAProxy for all networks of a host. It listens on V(169.254.169.254) in the namespaces of the DHCP servers
    of M(skywright.cloud.dhcp_network) and forwards requests to the API, with the id of the network, its signature and
    the address of the server, in place of all headers with which a server could pretend to be another one.
  - HAProxy reads changed files by a reload, which keeps open connections. It starts again when the host boots.
  - A network without a DHCP server, or with a DHCP server without O(networks[].dhcp.metadata), has no metadata proxy.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.metadata_proxy
"""

EXAMPLES = r"""
- name: Answer the servers of a network
  skywright.cloud.metadata_proxy:
    networks:
      - id: 0a0b0c0d-0000-4000-8000-000000000001
        dhcp:
          mac: fa:16:3e:00:00:fe
          metadata:
            api_url: http://10.0.0.1:8000/compute/metadata
            signature: "{{ signature_of_the_network }}"
"""

RETURN = r"""
results:
  description: One entry per network.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000001, changed: true, action: create, status: running}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[systemctl, reload-or-restart, skywright-metadata.service]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.metadata_proxy import MetadataProxy


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=MetadataProxy.argument_spec(), supports_check_mode=True)
    converge_alone(module, MetadataProxy)


if __name__ == "__main__":
    main()

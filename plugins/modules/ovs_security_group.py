#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_security_group
short_description: Manage security groups of a host
description:
  - A packet of a port with security groups passes if a rule of one of them allows it, or if it belongs to a connection
    whose first packet a rule allows. A connection that no rule allows any more is cut.
  - All ports of a host share the flows of a security group, on the bridge of port security. Only those that differ are
    replaced, all in one bundle.
  - The flows are also saved in files, from which a unit restores them when the switch starts.
  - M(skywright.cloud.ovs_port_security) gives ports their security groups. A host needs the security groups of its
    ports, and the groups that rules of those name.
notes:
  - The switch cannot match ports of other protocols than TCP, UDP and SCTP.
  - Rules with ports do not match fragments of ports whose connections are not tracked.
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.kinds.ovs_security_group
"""

EXAMPLES = r"""
- name: Servers of the group answer on port 22, to each other on all ports, and reach everything
  skywright.cloud.ovs_security_group:
    security_groups:
      - id: 5a0b0c0d-0000-4000-8000-000000000001
        rules:
          - {direction: egress}
          - {direction: ingress, protocol: tcp, port_range_min: 22, port_range_max: 22}
          - {direction: ingress, remote_group_id: 5a0b0c0d-0000-4000-8000-000000000001}
        members: [10.0.0.5, 10.0.0.6]
"""

RETURN = r"""
results:
  description: One entry per security group.
  returned: always
  type: list
  elements: dict
  sample: [{id: 5a0b0c0d-0000-4000-8000-000000000001, changed: true, action: create, status: present}]
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
  sample: [[ovs-ofctl, bundle, br-sec, "-", "flow add cookie=0x736b675a0b0c0d00, table=10"]]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.kind import converge_alone
from ansible_collections.skywright.cloud.plugins.module_utils.kinds.ovs_security_group import OvsSecurityGroup


def main():
    """Converge the items."""
    module = AnsibleModule(argument_spec=OvsSecurityGroup.argument_spec(), supports_check_mode=True)
    converge_alone(module, OvsSecurityGroup)


if __name__ == "__main__":
    main()

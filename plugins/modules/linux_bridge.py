#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Linux bridges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: linux_bridge
short_description: Manage Linux bridges with one address each
description:
  - Creates bridges, which last until the machine reboots.
  - The module does not change the ports of a bridge.
extends_documentation_fragment: skywright.cloud.converge
options:
  bridges:
    description: The bridges to converge. The module does not change other bridges.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The device's name.
        type: str
        required: true
      address:
        description: The only IPv4 address of the device, with its prefix length. Without it, the device has no address.
        type: str
      state:
        description: Whether the bridge exists.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Create the bridges of a lab
  skywright.cloud.linux_bridge:
    bridges:
      - {name: sw1a2b-m, address: 10.90.43.1/24}
      - {name: sw1a2b-d}
"""

RETURN = r"""
results:
  description: One entry per bridge, with its name as C(id).
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import converge, each

ARGUMENT_SPEC = {
    "bridges": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


def read(runner):
    """Read all bridges of the machine."""
    links = json.loads(runner.read(["ip", "-json", "-details", "address", "show"]) or "[]")
    return {
        link["ifname"]: {"addresses": _addresses(link), "up": "UP" in link["flags"]}
        for link in links
        if link.get("linkinfo", {}).get("info_kind") == "bridge"
    }


def _addresses(link):
    return [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["family"] == "inet"]


def want(item, have):
    """Return the wanted state of the bridge."""
    if item["state"] == "absent":
        return None
    return {"addresses": [item["address"]] if item["address"] else [], "up": True}


def actions(runner):
    """The writes, by action."""

    def update(step):
        for address in set((step.have or {}).get("addresses", [])) - set(step.want["addresses"]):
            runner.write(["ip", "address", "delete", address, "dev", step.id])
        for address in step.want["addresses"]:
            runner.write(["ip", "address", "replace", address, "dev", step.id])
        runner.write(["ip", "link", "set", step.id, "up"])

    def create(step):
        runner.write(["ip", "link", "add", step.id, "type", "bridge"])
        update(step)

    def delete(step):
        runner.write(["ip", "link", "delete", step.id])

    return {"create": create, "update": update, "delete": delete}


def main():
    """Converge the bridges."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    runner = Runner()
    converge(
        module,
        items=[dict(bridge, id=bridge["name"]) for bridge in module.params["bridges"]],
        read=lambda items: read(runner),
        want=want,
        apply=each(actions(runner)),
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()

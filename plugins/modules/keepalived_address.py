#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Virtual addresses that the local keepalived may have, given away and taken back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: keepalived_address
short_description: Has keepalived give virtual addresses away
description:
  - A host that gives an address away tells the others at once, and does not take it again before it is told to.
  - It lasts until the host boots; the service goes on. The role C(keepalived) has prepared it.
extends_documentation_fragment: skywright.cloud.converge
options:
  addresses:
    description: The addresses to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The virtual address, without a prefix length.
        type: str
        required: true
      state:
        description:
          - A host that is C(ready) may have the address when no other one has it.
          - In C(maint) it has not, even if nobody else has.
        type: str
        choices: [ready, maint]
        default: ready
  seconds:
    description: How long keepalived may take to give an address away.
    type: int
    default: 5
  directory:
    description: Where keepalived reads what is ordered, one file an address.
    type: path
    default: /run/skywright-keepalived
"""

EXAMPLES = r"""
- name: Let another host have the virtual address
  skywright.cloud.keepalived_address:
    addresses:
      - {name: 10.0.0.9, state: maint}
"""

RETURN = r"""
results:
  description: One entry an address, with it as C(id).
  returned: always
  type: list
  elements: dict
commands:
  description: What was written to keepalived's files, with their paths.
  returned: always
  type: list
  elements: list
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge
from ansible_collections.skywright.cloud.plugins.module_utils.files import read_text, write_text

ARGUMENT_SPEC = {
    "addresses": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["ready", "maint"], "default": "ready"},
        },
    },
    "seconds": {"type": "int", "default": 5},
    "directory": {"type": "path", "default": "/run/skywright-keepalived"},
}
# keepalived takes anything but zero in a tracked file for a fault.
ORDERS = {"ready": "0\n", "maint": "1\n"}


class Addresses:
    """What keepalived was told of its addresses."""

    def __init__(self, directory, seconds):
        self.directory = directory
        self.seconds = seconds
        self.commands = []

    def read(self, items):
        """Read the orders for those of the addresses that keepalived looks after."""
        texts = {item["id"]: self._order(item["id"]) for item in items}
        return {
            name: {"state": "ready" if text.strip() in ("", "0") else "maint"}
            for name, text in texts.items()
            if text is not None
        }

    def _order(self, name):
        path = self._path(name)
        return read_text(path) if name == os.path.basename(name) and os.path.isfile(path) else None

    def _path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def want(item, have):
        """Tell what is to be ordered."""
        if have is None:
            raise ItemError("keepalived looks after no such address here")
        return {"state": item["state"]}

    def apply(self, steps):
        """Give all orders, then wait once for the addresses to be gone."""
        for step in steps:
            write_text(self._path(step.id), ORDERS[step.want["state"]])
            self.commands.append(["write", self._path(step.id), step.want["state"]])
        leaving = {step.id for step in steps if step.want["state"] == "maint"}
        deadline = time.monotonic() + self.seconds
        while (left := leaving & held()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return dict.fromkeys(left, "keepalived did not give it away")


def held():
    """Tell all addresses of this host."""
    links = json.loads(Runner().read(["ip", "-json", "address", "show"]))
    return {info["local"] for link in links for info in link["addr_info"]}


def main():
    """Converge the addresses."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    addresses = Addresses(module.params["directory"], module.params["seconds"])
    converge(
        module,
        items=[dict(address, id=address["name"]) for address in module.params["addresses"]],
        read=addresses.read,
        want=addresses.want,
        apply=addresses.apply,
        status=lambda want: want["state"],
        commands=addresses.commands,
    )


if __name__ == "__main__":
    main()

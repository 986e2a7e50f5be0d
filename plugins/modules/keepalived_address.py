#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Maintenance of the local keepalived's virtual addresses."""

from __future__ import annotations

DOCUMENTATION = r"""
module: keepalived_address
short_description: Move virtual addresses of keepalived to another host
description:
  - In state C(maint), a host advertises at once that it gives up the address, and does not take the address again.
  - The state lasts until the host reboots. keepalived keeps running. The role C(keepalived) prepares the files.
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
          - With C(ready), the host can take the address when no other host has it.
          - With C(maint), the host does not have the address, even if no other host has it.
        type: str
        choices: [ready, maint]
        default: ready
  seconds:
    description: How many seconds keepalived may take to remove an address.
    type: int
    default: 5
  directory:
    description: The directory of the files that keepalived tracks, one per address.
    type: path
    default: /run/skywright-keepalived
"""

EXAMPLES = r"""
- name: Move the virtual address to another host
  skywright.cloud.keepalived_address:
    addresses:
      - {name: 10.0.0.9, state: maint}
"""

RETURN = r"""
results:
  description: One entry per address, with the address as C(id).
  returned: always
  type: list
  elements: dict
commands:
  description: The paths and contents that were written.
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
# keepalived considers any value but zero in a tracked file a fault.
CONTENTS = {"ready": "0\n", "maint": "1\n"}


class Addresses:
    """The files that keepalived tracks."""

    def __init__(self, directory, seconds):
        self.directory = directory
        self.seconds = seconds
        self.commands = []

    def read(self, items):
        """Return the states of those addresses that keepalived tracks."""
        texts = {item["id"]: self._text(item["id"]) for item in items}
        return {
            name: {"state": "ready" if text.strip() in ("", "0") else "maint"}
            for name, text in texts.items()
            if text is not None
        }

    def _text(self, name):
        path = self._path(name)
        return read_text(path) if name == os.path.basename(name) and os.path.isfile(path) else None

    def _path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def want(item, have):
        """Return the state that is wanted."""
        if have is None:
            raise ItemError("keepalived of this host has no such address")
        return {"state": item["state"]}

    def apply(self, steps):
        """Write all files, then wait until the addresses in maintenance are removed."""
        for step in steps:
            write_text(self._path(step.id), CONTENTS[step.want["state"]])
            self.commands.append(["write", self._path(step.id), step.want["state"]])
        leaving = {step.id for step in steps if step.want["state"] == "maint"}
        deadline = time.monotonic() + self.seconds
        while (left := leaving & local_addresses()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return dict.fromkeys(left, "keepalived did not remove the address")


def local_addresses():
    """Return all addresses of this host."""
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

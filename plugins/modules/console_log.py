#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: console_log
short_description: Read the end of servers' console logs
description:
  - Returns the last lines that servers wrote to their serial consoles since their boot.
  - A server without a log has an empty output. The module never fails.
options:
  servers:
    description: The servers to read.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: UUID of the server.
        type: str
        required: true
      length:
        description: The number of lines. The default is as many as O(max_bytes) allows.
        type: int
  directory:
    description: The directory of the servers' directories.
    type: path
    default: /var/lib/skywright/servers
  max_bytes:
    description: The maximum number of bytes to read from the end of each log.
    type: int
    default: 262144
attributes:
  check_mode:
    description: It only reads.
    support: full
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Read the last ten lines
  skywright.cloud.console_log:
    servers:
      - id: 0a0b0c0d-0000-4000-8000-000000000004
        length: 10
"""

RETURN = r"""
results:
  description: One entry per server.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: false, output: 'login: '}]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.check import UUID

SERVER = {"id": {"type": "str", "required": True}, "length": {"type": "int"}}
SPEC = {
    "servers": {"type": "list", "elements": "dict", "required": True, "options": SERVER},
    "directory": {"type": "path", "default": "/var/lib/skywright/servers"},
    "max_bytes": {"type": "int", "default": 262144},
}


def tail(path, lines, max_bytes):
    """Return the last lines of a file, or nothing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - max_bytes))
            text = file.read(max_bytes).decode("utf-8", "replace")
    except OSError:
        return ""
    if lines is None or lines < 0:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""


def main():
    """Read the logs."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    results = []
    for item in module.params["servers"]:
        path = os.path.join(module.params["directory"], item["id"], "console.log")
        known = UUID.fullmatch(item["id"])
        output = tail(path, item["length"], module.params["max_bytes"]) if known else ""
        results.append({"id": item["id"], "changed": False, "output": output})
    module.exit_json(changed=False, results=results)


if __name__ == "__main__":
    main()

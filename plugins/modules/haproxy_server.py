#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Maintenance of the local HAProxy's servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Set the administrative state of HAProxy servers
description:
  - The state applies to the server in all backends. Each HAProxy has its own states, so run the module on all of them.
  - The state survives a reload of HAProxy but not a restart.
extends_documentation_fragment: skywright.cloud.converge
options:
  servers:
    description: The servers to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The server's name.
        type: str
        required: true
      state:
        description:
          - A C(ready) server gets requests while its health checks pass.
          - With C(drain), the server finishes its requests and gets no new ones. A single writer remains the writer.
          - With C(maint), the server drains, then HAProxy closes the remaining connections and chooses another writer.
        type: str
        choices: [ready, drain, maint]
        default: ready
  drain_seconds:
    description:
      - Seconds that requests may take to finish before C(maint) closes them. Connections of mode C(tcp) close at once.
    type: int
    default: 30
  socket:
    description: HAProxy's administration socket.
    type: path
    default: /run/haproxy/admin.sock
"""

EXAMPLES = r"""
- name: Stop requests to a controller before its reboot
  skywright.cloud.haproxy_server:
    servers:
      - {name: controller1, state: maint}
"""

RETURN = r"""
results:
  description: One entry per server, with its name as C(id).
  returned: always
  type: list
  elements: dict
commands:
  description: The commands that changed something.
  returned: always
  type: list
  elements: list
"""

import csv
import socket
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge

ARGUMENT_SPEC = {
    "servers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["ready", "drain", "maint"], "default": "ready"},
        },
    },
    "drain_seconds": {"type": "int", "default": 30},
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
}
SECONDS = 5
# The bits of HAProxy's srv_admin_state that an administrator sets; HAProxy sets the others.
MAINT = 0x01
DRAIN = 0x08


class Balancer:
    """The local HAProxy."""

    def __init__(self, path, drain_seconds):
        self.path = path
        self.drain_seconds = drain_seconds
        self.commands = []

    def _send(self, *commands):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(self.path)
            connection.sendall("; ".join(commands).encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()

    def read(self, _items):
        """Return the administrative states of the servers: {name: {"backends": {backend: state}}}."""
        backends = {}
        for line in self._send("show servers state").splitlines():
            fields = line.split()
            if len(fields) > 6 and fields[0].isdigit():
                backends.setdefault(fields[3], {})[fields[1]] = _state(int(fields[6]))
        return {name: {"backends": states} for name, states in backends.items()}

    @staticmethod
    def want(item, have):
        """Return the state that is wanted in all backends."""
        if have is None:
            raise ItemError("no backend of this HAProxy has a server of this name")
        return {"backends": dict.fromkeys(have["backends"], item["state"])}

    def apply(self, steps):
        """Drain the servers that go into maintenance, wait, then set all states."""
        leaving = [step for step in steps if step.item["state"] == "maint"]
        errors = self._set(leaving, "drain")
        self._wait([step.id for step in leaving])
        return {**errors, **self._set(steps)}

    def _set(self, steps, state=None):
        errors = {}
        for step in steps:
            for backend in step.want["backends"]:
                command = f"set server {backend}/{step.id} state {state or step.item['state']}"
                self.commands.append(command.split())
                answer = self._send(command).strip()
                if answer:
                    errors[step.id] = answer
        return errors

    def _wait(self, names):
        deadline = time.monotonic() + self.drain_seconds
        while names and self._requests(names) and time.monotonic() < deadline:
            time.sleep(0.2)

    def _requests(self, names):
        rows = csv.DictReader(self._send("show stat").lstrip("# ").splitlines())
        return sum(int(row["scur"]) for row in rows if row["svname"] in names and row["mode"] == "http")


def _state(bits):
    if bits & MAINT:
        return "maint"
    return "drain" if bits & DRAIN else "ready"


def main():
    """Converge the servers."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    balancer = Balancer(module.params["socket"], module.params["drain_seconds"])
    converge(
        module,
        items=[dict(server, id=server["name"]) for server in module.params["servers"]],
        read=balancer.read,
        want=balancer.want,
        apply=balancer.apply,
        status=lambda want: next(iter(want["backends"].values())),
        commands=balancer.commands,
    )


if __name__ == "__main__":
    main()

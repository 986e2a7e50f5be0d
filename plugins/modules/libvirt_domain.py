#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_domain
short_description: Servers as libvirt domains
description:
  - Defines, starts, stops, reboots and undefines domains, all through one connection to libvirt.
  - A definition is compared with what libvirt stores, reduced to what this module decides. A changed definition of a
    running domain takes effect when it boots next.
  - A removed server's directory goes with its domain, since nothing may remove it while the domain could use it.
  - Servers are told apart by their UUID; a domain is called C(instance-) and the UUID.
options:
  uri:
    description: The hypervisor; with V(test:///default) domains live only as long as the module runs.
    type: str
    default: qemu:///system
  virt_type:
    description: How the hypervisor runs guests.
    type: str
    choices: [kvm, qemu]
    default: qemu
  directory:
    description: Where the servers' directories are.
    type: path
    default: /var/lib/skywright/servers
  shutdown_seconds:
    description: How long a guest may take to shut itself down before its domain is destroyed.
    type: int
    default: 20
extends_documentation_fragment:
  - skywright.cloud.converge
  - skywright.cloud.servers
  - skywright.cloud.converge.unmet
"""

EXAMPLES = r"""
- name: A running server
  skywright.cloud.libvirt_domain:
    servers:
      - id: 0a0b0c0d-0000-4000-8000-000000000004
        name: web-1
        memory_mib: 256
        ports:
          - id: 1a0b0c0d-0000-4000-8000-000000000002
            mac: fa:16:3e:00:00:01
"""

RETURN = r"""
results:
  description: One entry a server; C(status) is its power state.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0a0b0c0d-0000-4000-8000-000000000004, changed: true, action: create, status: running}]
commands:
  description: The calls that were made, as name of the call and UUID of the domain.
  returned: always
  type: list
  elements: list
  sample: [[define, 0a0b0c0d-0000-4000-8000-000000000004], [start, 0a0b0c0d-0000-4000-8000-000000000004]]
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils import check, items
from ansible_collections.skywright.cloud.plugins.module_utils.converge import converge, each, require
from ansible_collections.skywright.cloud.plugins.module_utils.domain_xml import Definition, summary
from ansible_collections.skywright.cloud.plugins.module_utils.files import remove
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import Hypervisor

SPEC = {
    "servers": items.SERVERS,
    "uri": {"type": "str", "default": "qemu:///system"},
    "virt_type": {"type": "str", "choices": ["kvm", "qemu"], "default": "qemu"},
    "directory": {"type": "path", "default": "/var/lib/skywright/servers"},
    "shutdown_seconds": {"type": "int", "default": 20},
    "unmet": {"type": "dict", "default": {}},
}


class Domains:
    """Servers on one hypervisor; a server is {"definition", "persistent", "power", "boot_id"}.

    A running domain that was undefined lives on, but only until it ends.
    """

    def __init__(self, hypervisor, *, virt_type, directory, shutdown_seconds, unmet):
        self.hypervisor = hypervisor
        self.virt_type = "test" if hypervisor.null else virt_type
        self.directory = directory
        self.shutdown_seconds = shutdown_seconds
        self.unmet = unmet
        self.together = False
        self.held = []

    def apply(self, steps):
        """Converge all; of several that start none runs before all are there: booting slows the others down."""
        self.together = len(steps) > 1 and not self.hypervisor.null
        actions = {"create": self.create, "update": self.update, "delete": self.delete}
        errors = each(actions, threads=8)(steps)
        return {**errors, **each(dict.fromkeys(actions, self.release))(self.held)}

    def release(self, step):
        """Let a started guest run."""
        self.hypervisor.resume(step.id)

    def read(self, servers):
        """Read the listed servers' domains."""
        self.hypervisor.connect()
        have = {}
        for item in servers:
            check.uuid(item["id"])
            domain = self.hypervisor.find(item["id"])
            if domain is not None:
                have[item["id"]] = self._read(domain)
            elif item["state"] == "absent" and os.path.isdir(self._directory(item["id"])):
                have[item["id"]] = {"boot_id": None, "definition": None, "persistent": False, "power": "shutoff"}
        return have

    def _read(self, domain):
        definition = summary(self.hypervisor.definition(domain))
        boot_id = definition.pop("boot_id")
        return {
            "boot_id": boot_id,
            "definition": definition,
            "persistent": self.hypervisor.is_persistent(domain),
            "power": self.hypervisor.power(domain),
        }

    def _directory(self, server_id):
        return os.path.join(self.directory, server_id)

    def want(self, item, have):
        """Want the definition and the power state; a stopped server has no boot to compare."""
        check.uuid(item["id"])
        require(item, self.unmet)
        if item["state"] == "absent":
            return None
        definition = summary(self._xml(item))
        boot_id = definition.pop("boot_id")
        stopped = have and item["power"] == "shutoff"
        return {
            "definition": definition,
            "persistent": True,
            "power": item["power"],
            "boot_id": have["boot_id"] if have and (stopped or not boot_id) else boot_id,
        }

    def _xml(self, item):
        for port in item["ports"]:
            check.uuid(port["id"])
            check.mac(port["mac"] or "")
        return Definition(item, virt_type=self.virt_type, directory=self.directory).xml()

    def create(self, step):
        """Define the domain and start it if it shall run."""
        self.hypervisor.define(step.id, self._xml(step.item))
        if step.want["power"] == "running":
            self._start(step)

    def _start(self, step):
        self.hypervisor.start(step.id, paused=self.together)
        if self.together:
            self.held.append(step)

    def update(self, step):
        """Stop what has to stop, define, start what has to run.

        The new boot_id is stored after the old boot has ended: a run that is cut off is completed by the next.
        """
        alive = step.have["power"] != "shutoff"
        reboots = alive and step.changes("boot_id")
        wants_run = step.want["power"] == "running"
        if alive and (reboots or not wants_run or step.have["power"] == "crashed"):
            gently = step.have["power"] == "running" and (not wants_run or step.item["reboot"] == "soft")
            self.hypervisor.stop(step.id, self.shutdown_seconds if gently else 0)
            alive = False
        if any(step.changes(key) for key in ("definition", "persistent", "boot_id")):
            self.hypervisor.define(step.id, self._xml(step.item))
        if wants_run and not alive:
            self._start(step)
        elif wants_run and step.have["power"] == "paused":
            self.hypervisor.resume(step.id)

    def delete(self, step):
        """Destroy and undefine, then remove the directory."""
        if step.have["power"] != "shutoff":
            self.hypervisor.stop(step.id, 0)
        if step.have["persistent"]:
            self.hypervisor.undefine(step.id)
        remove(self._directory(step.id))


def main():
    """Converge the domains."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    hypervisor = Hypervisor(module.params["uri"])
    settings = {key: module.params[key] for key in ("virt_type", "directory", "shutdown_seconds", "unmet")}
    domains = Domains(hypervisor, **settings)
    converge(
        module,
        items=module.params["servers"],
        read=domains.read,
        want=domains.want,
        apply=domains.apply,
        status=lambda want: want["power"],
        commands=hypervisor.commands,
    )


if __name__ == "__main__":
    main()

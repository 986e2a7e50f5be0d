#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Open vSwitch bridges."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridge
short_description: Manage Open vSwitch bridges with their ports
description:
  - Converges bridges and the devices that are their ports, in one OVSDB transaction.
  - Ports are additive. The module does not remove ports that are not listed.
extends_documentation_fragment: skywright.cloud.converge
options:
  bridges:
    description: The bridges to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The bridge's name.
        type: str
        required: true
      datapath_type:
        description:
          - The datapath, in the kernel (C(system)) or in the userspace process of Open vSwitch (C(netdev)).
          - With C(auto), a bridge keeps its datapath, and a new bridge gets C(system) if the kernel has the module.
        type: str
        choices: [auto, netdev, system]
        default: auto
      fail_mode:
        description:
          - What the bridge does without an OpenFlow controller. With V(standalone), it also switches frames like a
            learning switch; with V(secure), it does only what its flows say.
        type: str
        choices: [standalone, secure]
        default: standalone
      ports:
        description: Devices of the host that are ports of the bridge.
        type: list
        elements: str
        default: []
      state:
        description: Whether the bridge exists.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Create the bridges of the servers and of the data NIC
  skywright.cloud.ovs_bridge:
    bridges:
      - {name: br-int}
      - {name: br-phy, ports: [data0]}
      - {name: br-sec, fail_mode: secure}
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

import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge
from ansible_collections.skywright.cloud.plugins.module_utils.ovsdb import Ovsdb, members

ARGUMENT_SPEC = {
    "bridges": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "datapath_type": {"type": "str", "choices": ["auto", "netdev", "system"], "default": "auto"},
            "fail_mode": {"type": "str", "choices": ["standalone", "secure"], "default": "standalone"},
            "ports": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}


class Bridges:
    """The bridges of the local switch."""

    def __init__(self, runner, may_lack_switch):
        self.runner = runner
        self.ovsdb = Ovsdb(runner)
        self.no_switch = may_lack_switch and shutil.which("ovs-vsctl") is None
        self._kernel = None

    def read(self, items):
        """Read all bridges and the names of their ports."""
        if self.no_switch:
            return {}
        tables = self.ovsdb.read(Bridge=["name", "datapath_type", "fail_mode", "ports"], Port=["name"])
        names = {port["_uuid"]: port["name"] for port in tables["Port"]}
        return {bridge["name"]: self._bridge(bridge, names) for bridge in tables["Bridge"]}

    @staticmethod
    def _bridge(row, names):
        ports = {names[uuid] for uuid in members(row["ports"])} - {row["name"]}
        # OVSDB may store "system" and "standalone" as empty values.
        return {
            "datapath_type": row["datapath_type"] or "system",
            "fail_mode": row["fail_mode"] or "standalone",
            "ports": sorted(ports),
        }

    def want(self, item, have):
        """Return the wanted state of the bridge."""
        if item["state"] == "absent":
            return None
        datapath = item["datapath_type"]
        if datapath == "auto":
            datapath = have["datapath_type"] if have else self._possible()
        ports = sorted({*item["ports"], *(have["ports"] if have else [])})
        return {"datapath_type": datapath, "fail_mode": item["fail_mode"], "ports": ports}

    def _possible(self):
        if self._kernel is None:
            self._kernel = not self.no_switch and self._kernel_can()
        return "system" if self._kernel else "netdev"

    def _kernel_can(self):
        try:
            self.runner.read(["ovs-dpctl", "dump-dps"])
        except ItemError:
            return False
        return True

    def apply(self, steps):
        """Send all writes as one transaction; if it fails, send them per bridge to find the cause."""
        try:
            self.ovsdb.transact([command for step in steps for command in commands(step)], wait=True)
        except ItemError as error:
            if len(steps) == 1:
                return {steps[0].id: str(error)}
            return {step_id: text for step in steps for step_id, text in self.apply([step]).items()}
        return {}


def commands(step):
    """The writes of one step, as commands of ovs-vsctl."""
    if step.want is None:
        return [["del-br", step.id]]
    have = step.have or {"fail_mode": "standalone", "ports": []}
    sent = [] if step.have else [["add-br", step.id]]
    if step.changes("datapath_type"):
        sent.append(["set", "Bridge", step.id, f"datapath_type={step.want['datapath_type']}"])
    if step.want["fail_mode"] != have["fail_mode"]:
        sent.append(["set-fail-mode", step.id, step.want["fail_mode"]])
    return sent + [["add-port", step.id, port] for port in step.want["ports"] if port not in have["ports"]]


def main():
    """Converge the bridges."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    runner = Runner()
    # In check mode, the package of Open vSwitch may not be installed yet.
    bridges = Bridges(runner, may_lack_switch=module.check_mode)
    converge(
        module,
        items=[dict(bridge, id=bridge["name"]) for bridge in module.params["bridges"]],
        read=bridges.read,
        want=bridges.want,
        apply=bridges.apply,
        commands=runner.commands,
    )


if __name__ == "__main__":
    main()

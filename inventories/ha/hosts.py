#!/usr/bin/env python3
"""The inventory of a highly available lab: three controllers, and compute hosts that are network hosts, too.

With SKYWRIGHT_HA_CONTROLLERS=1 SKYWRIGHT_HA_COMPUTES=0 it is one host with all roles.

hosts.py --list   the inventory, for Ansible
hosts.py --lab    the facts of the lab
hosts.py --plan   the plan of an overcloud of these hosts
"""

from __future__ import annotations

import ipaddress
import json
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True  # Ansible would read a __pycache__ in this directory as inventory
LAB = SimpleNamespace(**runpy.run_path(str(Path(__file__).resolve().parents[1] / "lab" / "hosts.py")))


def main() -> None:
    files = (LAB.CHECKOUT / os.environ.get("SKYWRIGHT_HA_FILES", "var/ha")).resolve()
    controllers = LAB.names(files, "controller", "SKYWRIGHT_HA_CONTROLLERS", 3, range(1, 10))
    computes = LAB.names(files, "compute", "SKYWRIGHT_HA_COMPUTES", 2, range(100))
    numbers = {name: 1 + index for index, name in enumerate(controllers)}
    numbers |= {name: 11 + index for index, name in enumerate(computes)}
    facts = LAB.lab(files, numbers)
    computes = computes or controllers
    if "--lab" in sys.argv:
        print(json.dumps(facts, indent=2))
        return
    groups = {"controllers": controllers, "computes": computes, "networks": computes[:2]}
    inventory = LAB.inventory(facts, groups)
    if "--plan" in sys.argv:
        print("---")
        print(json.dumps(plan(facts, groups, inventory["_meta"]["hostvars"]), indent=2))
        return
    inventory["_meta"]["hostvars"]["localhost"]["lab_host_control_plane"] = True
    print(json.dumps(inventory, indent=2))


def plan(facts: dict, groups: dict[str, list[str]], hosts: dict[str, dict]) -> dict:
    """Return the plan of an overcloud of the lab's hosts, for `skywright overcloud deploy`."""
    management = ipaddress.ip_interface(facts["management_address"])
    switched = {*groups["computes"], *groups["networks"]}
    return {
        "name": "overcloud",
        "virtual_address": f"{management.network.network_address + 9}/{management.network.prefixlen}",
        "interface": "host0",
        "key": facts["key"],
        "data_interface": "data0",
        "roles": groups,
        "networks": {"management": str(management.network), "data": facts["data_network"]},
        "hosts": {
            name: {"address": host["ansible_host"]}
            | ({"data_address": host["vswitch_data_address"]} if name in switched else {})
            for name, host in hosts.items()
            if name != "localhost"
        },
        # The same variables as in group_vars, which only playbooks that are run by hand use.
        "variables": {
            "common_update_cache": False,
            "hypervisor_qemu_settings": {"cgroup_controllers": [], "security_driver": "none"},
            "vswitch_physical_networks": {"physnet1": "br-phy"},
        },
    }


if __name__ == "__main__":
    main()

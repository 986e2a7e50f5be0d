#!/usr/bin/env python3
"""Hosts for a highly available cloud, made as the lab's are: three controllers, and computes that serve networks, too.

hosts.py --list   the inventory, for Ansible
hosts.py --lab    the lab's own facts, for whoever has to find it
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

sys.dont_write_bytecode = True  # what lies in an inventory's directory is read as inventory
LAB = SimpleNamespace(**runpy.run_path(str(Path(__file__).resolve().parents[1] / "lab" / "hosts.py")))


def main() -> None:
    files = (LAB.CHECKOUT / os.environ.get("SKYWRIGHT_HA_FILES", "var/ha")).resolve()
    controllers = [f"controller{number}" for number in (1, 2, 3)]
    computes = [f"compute{n + 1}" for n in range(LAB.count(files, "compute", "SKYWRIGHT_HA_COMPUTES", 2, 99))]
    numbers = {name: 1 + index for index, name in enumerate(controllers)}
    numbers |= {name: 11 + index for index, name in enumerate(computes)}
    facts = LAB.lab(files, numbers)
    if "--lab" in sys.argv:
        print(json.dumps(facts, indent=2))
        return
    groups = {"controllers": controllers, "computes": computes, "networks": computes[:2]}
    inventory = LAB.inventory(facts, groups)
    inventory["_meta"]["hostvars"]["localhost"]["lab_host_control_plane"] = True
    print(json.dumps(inventory, indent=2))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The lab's hosts, and all its names and addresses; docs/architecture.md describes them.

hosts.py --list   the inventory, for Ansible
hosts.py --lab    the lab's own facts, for whoever has to find it
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = (CHECKOUT / "var" / "lab").resolve()
FILES = (CHECKOUT / os.environ.get("SKYWRIGHT_LAB_FILES", HOME)).resolve()


def lab_id() -> str:
    """Two labs on one machine differ in this, and so in everything that is made for them."""
    wanted = os.environ.get("SKYWRIGHT_LAB_ID")
    if wanted is None:
        path = CHECKOUT if FILES == HOME else FILES
        return "sw" + hashlib.sha256(str(path).encode()).hexdigest()[:4]
    if not re.fullmatch("sw[0-9a-f]{4}", wanted):
        raise SystemExit(f"SKYWRIGHT_LAB_ID must be sw and four hexadecimal digits, not {wanted!r}")
    return wanted


def count() -> int:
    """How many hosts: as many as are asked for, and those that are there already (so none is forgotten)."""
    wanted = int(os.environ.get("SKYWRIGHT_LAB_HOSTS", "2"))
    there = [int(path.name[4:]) for path in FILES.glob("hosts/host*") if path.name[4:].isdigit()]
    if not 1 <= wanted <= 200:
        raise SystemExit("SKYWRIGHT_LAB_HOSTS must be between 1 and 200")
    return max([wanted, *there])


def lab() -> dict:
    name = lab_id()
    first, second = bytes.fromhex(name[2:])
    management = f"10.{64 + first % 64}.{second}"
    bridges = {"management_bridge": f"{name}-m", "data_bridge": f"{name}-d"}
    machines = [
        {
            "name": f"{name}-host{number}",
            "hostname": f"host{number}",
            "nics": [
                {
                    "name": "host0",
                    "device": f"{name}-{number}m",
                    "bridge": bridges["management_bridge"],
                    "address": f"{management}.{10 + number}/24",
                },
                {"name": "data0", "device": f"{name}-{number}d", "bridge": bridges["data_bridge"]},
            ],
        }
        for number in range(1, count() + 1)
    ]
    return {
        "id": name,
        "files": str(FILES),
        "key": str(FILES / "id_ed25519"),
        "known_hosts": str(FILES / "known_hosts"),
        "management_address": f"{management}.1/24",
        "data_network": f"172.{16 + first % 16}.{second}.0/24",
        **bridges,
        "machines": machines,
    }


def inventory() -> dict:
    facts = lab()
    # A host that was killed takes its connections with it: notice within seconds.
    ssh = f"-o UserKnownHostsFile='{facts['known_hosts']}' -o StrictHostKeyChecking=yes"
    ssh += " -o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o ConnectTimeout=5"
    variables: dict[str, dict] = {"localhost": {"ansible_connection": "local", "lab_host_lab": facts}}
    for machine in facts["machines"]:
        address = machine["nics"][0]["address"].split("/")[0]
        variables[machine["hostname"]] = {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": facts["key"],
            "ansible_ssh_common_args": ssh,
            "vswitch_data_interface": "data0",
            "vswitch_data_address": facts["data_network"].replace(".0/", f".{address.split('.')[-1]}/"),
            "vswitch_physical_networks": {"physnet1": "br-phy"},
        }
    return {
        "_meta": {"hostvars": variables},
        "computes": {"hosts": [machine["hostname"] for machine in facts["machines"]]},
        "networks": {"hosts": ["host1"]},
        "lab": {"hosts": ["localhost"]},
    }


def main() -> None:
    print(json.dumps(lab() if "--lab" in sys.argv else inventory(), indent=2))


if __name__ == "__main__":
    main()

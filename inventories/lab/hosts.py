#!/usr/bin/env python3
"""The inventory of the lab, with all its names and addresses; docs/architecture.md describes them.

hosts.py --list   the inventory, for Ansible
hosts.py --lab    the facts of the lab
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


def lab_id(files: Path) -> str:
    """Return the id that is in the names and addresses of everything that the lab creates."""
    wanted = os.environ.get("SKYWRIGHT_LAB_ID")
    if wanted is None:
        path = CHECKOUT if files == HOME else files
        return "sw" + hashlib.sha256(str(path).encode()).hexdigest()[:4]
    if not re.fullmatch("sw[0-9a-f]{4}", wanted):
        raise SystemExit(f"SKYWRIGHT_LAB_ID must be sw and four hexadecimal digits, not {wanted!r}")
    return wanted


def names(files: Path, kind: str, variable: str, default: int, allowed: range) -> list[str]:
    """Return the names of the hosts of a kind: as many as *variable* requests, and all that exist already."""
    wanted = int(os.environ.get(variable, default))
    existing = [path.name.removeprefix(kind) for path in files.glob(f"hosts/{kind}*")]
    if wanted not in allowed:
        raise SystemExit(f"{variable} must be between {allowed.start} and {allowed.stop - 1}")
    count = max([wanted, *(int(number) for number in existing if number.isdigit())])
    return [f"{kind}{number + 1}" for number in range(count)]


def lab(files: Path, hosts: dict[str, int]) -> dict:
    """Return the facts of a lab with *hosts* {name: number}; the number determines the host's addresses."""
    name = lab_id(files)
    first, second = bytes.fromhex(name[2:])
    management = f"10.{64 + first % 64}.{second}"
    bridges = {"management_bridge": f"{name}-m", "data_bridge": f"{name}-d"}
    machines = [
        {
            "name": f"{name}-{hostname}",
            "hostname": hostname,
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
        for hostname, number in hosts.items()
    ]
    return {
        "id": name,
        "files": str(files),
        "key": str(files / "id_ed25519"),
        "known_hosts": str(files / "known_hosts"),
        "management_address": f"{management}.1/24",
        "data_network": f"172.{16 + first % 16}.{second}.0/24",
        **bridges,
        "machines": machines,
    }


def inventory(facts: dict, groups: dict[str, list[str]]) -> dict:
    """Return the inventory of the lab with these *facts*, for Ansible."""
    # Detect within seconds that a host was killed, although its connections are not closed.
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
        **{group: {"hosts": hosts} for group, hosts in groups.items()},
        "lab": {"hosts": ["localhost"]},
    }


def main() -> None:
    files = (CHECKOUT / os.environ.get("SKYWRIGHT_LAB_FILES", HOME)).resolve()
    hosts = names(files, "host", "SKYWRIGHT_LAB_HOSTS", 2, range(1, 201))
    facts = lab(files, {name: 1 + index for index, name in enumerate(hosts)})
    groups = {"computes": hosts, "networks": ["host1"]}
    print(json.dumps(facts if "--lab" in sys.argv else inventory(facts, groups), indent=2))


if __name__ == "__main__":
    main()

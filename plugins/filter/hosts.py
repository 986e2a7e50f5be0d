# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts of an inventory in the form in which they are registered with the cloud."""

from __future__ import annotations

# The variables that the cloud's playbooks read; workers have their own variables for connections.
PREFIXES = ("vswitch_", "hypervisor_", "skywright_")
ONLY_ONCE = ("hypervisor_qemu_settings",)
ALIVE = "-o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o ConnectTimeout=5"


def cloud_hosts(groups, hostvars, state_directory):
    """Return the hosts of the groups computes and networks, where the cloud's SSH key is authorized for root."""
    names = {group: set(groups.get(group, ())) for group in ("computes", "networks")}
    ssh = f"-o UserKnownHostsFile='{state_directory}/known_hosts' -o StrictHostKeyChecking=yes {ALIVE}"
    key = f"{state_directory}/keys/ssh/id_ed25519"
    return [
        {
            "id": str(name),
            "groups": [group for group, members in names.items() if name in members],
            "variables": {
                "ansible_host": hostvars[name].get("ansible_host", name),
                "ansible_port": int(hostvars[name].get("ansible_port", 22)),
                "ansible_user": "root",
                "ansible_ssh_private_key_file": key,
                "ansible_ssh_common_args": ssh,
                **_own(hostvars[name]),
            },
        }
        for name in sorted(set().union(*names.values()))
    ]


def _own(variables):
    kept = (name for name in variables if name.startswith(PREFIXES) and name not in ONLY_ONCE)
    return {name: variables[name] for name in sorted(kept)}


class FilterModule:
    """The filter of playbooks/overcloud.yml."""

    def filters(self):
        """Return the filter."""
        return {"cloud_hosts": cloud_hosts}

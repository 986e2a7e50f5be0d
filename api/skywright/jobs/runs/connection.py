"""How a host is reached: the variables that say so to Ansible, and ssh's arguments."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skywright.settings import Settings

# A host that dies takes its connections with it: notice within seconds.
SSH = "-o StrictHostKeyChecking=yes -o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o ConnectTimeout=5"


def known_hosts(settings: Settings) -> Path:
    """The recorded keys of hosts."""
    return settings.root / "known_hosts"


def connection(address: str, port: int, user: str, key: Path, known: Path) -> dict[str, Any]:
    """The variables of a host that shows the key recorded in *known* and lets *user* in with *key*."""
    return {
        "ansible_host": address,
        "ansible_port": port,
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile='{known}' {SSH}",
    }


def ssh_command(name: str, variables: Mapping[str, Any], command: Sequence[str]) -> list[str]:
    """The ssh that runs *command* on the host *name*, whose *variables* are Ansible's."""
    argv = ["ssh", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
    options = {"-p": "ansible_port", "-l": "ansible_user", "-i": "ansible_ssh_private_key_file"}
    for option, variable in options.items():
        if variable in variables:
            argv += [option, str(variables[variable])]
    argv += shlex.split(str(variables.get("ansible_ssh_common_args", "")))
    become = ["sudo", "-n"] if variables.get("ansible_become") else []
    return [*argv, "--", str(variables.get("ansible_host", name)), shlex.join([*become, *command])]

"""Connections to hosts: Ansible's connection variables, and arguments of ssh."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skywright.settings import Settings

# Detect within seconds that a host died: its connections are not closed then.
SSH = "-o StrictHostKeyChecking=yes -o ServerAliveInterval=3 -o ServerAliveCountMax=3 -o ConnectTimeout=5"


def known_hosts(settings: Settings) -> Path:
    """Return the file with the recorded host keys."""
    return settings.root / "known_hosts"


def connection(address: str, port: int, user: str, key: Path, known: Path) -> dict[str, Any]:
    """Return the connection variables of a host: *known* has its host key, and *key* is the private key for *user*."""
    return {
        "ansible_host": address,
        "ansible_port": port,
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile='{known}' {SSH}",
    }


def ssh_command(name: str, variables: Mapping[str, Any], command: Sequence[str]) -> list[str]:
    """Return the ssh command that runs *command* on the host *name* with Ansible's *variables*."""
    argv = ["ssh", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
    options = {"-p": "ansible_port", "-l": "ansible_user", "-i": "ansible_ssh_private_key_file"}
    for option, variable in options.items():
        if variable in variables:
            argv += [option, str(variables[variable])]
    argv += shlex.split(str(variables.get("ansible_ssh_common_args", "")))
    become = ["sudo", "-n"] if variables.get("ansible_become") else []
    return [*argv, "--", str(variables.get("ansible_host", name)), shlex.join([*become, *command])]

"""How Ansible reaches a host: the variables that say so."""

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

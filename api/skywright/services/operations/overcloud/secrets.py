"""An overcloud's passwords: generated once, and stored in files that ansible-vault can read."""

import os
import secrets
import string
from pathlib import Path
from typing import Any

import yaml

from skywright.settings import Settings

# docs/overcloud.md describes each.
NAMES = (
    "galera_sst",
    "galera_monitor",
    "database",
    "rabbitmq",
    "rabbitmq_cookie",
    "haproxy_stats",
    "admin",
)
# Some are used in configuration files, URLs and command lines, in which other characters have a meaning.
LETTERS = string.ascii_letters + string.digits
LENGTH = 32


class Unreadable(Exception):
    """The passwords exist but cannot be read."""


def files(settings: Settings, name: str) -> Path:
    """Return the directory of the overcloud *name*."""
    return settings.root / "overclouds" / name


def vault_password(settings: Settings) -> Path:
    """Return the file with the vault password."""
    return settings.key_dir / "vault.password"


def secrets_file(settings: Settings, name: str) -> Path:
    return files(settings, name) / "secrets.yml"


def passwords(settings: Settings, name: str) -> dict[str, str]:
    """Return the passwords of the overcloud *name*; missing ones are generated."""
    path = secrets_file(settings, name)
    for directory in (settings.root / "overclouds", path.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    vault = _vault(settings)
    known = _read(vault, path)
    missing = [secret for secret in NAMES if secret not in known]
    if missing:
        known |= {secret: "".join(secrets.choice(LETTERS) for _ in range(LENGTH)) for secret in missing}
        _replace(path, vault.encrypt(yaml.safe_dump({"overcloud_secrets": known}).encode()))
    return known


def _read(vault: Any, path: Path) -> dict[str, str]:
    from ansible.errors import AnsibleError  # noqa: PLC0415 - workers have few such jobs

    try:
        text = vault.decrypt(path.read_bytes())
        return dict(yaml.safe_load(text)["overcloud_secrets"])
    except FileNotFoundError:
        return {}
    except (AnsibleError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        # New passwords would not be those of the existing cloud.
        raise Unreadable(f"{path} cannot be read with {path.parents[2]}/keys/vault.password") from error


def _vault(settings: Settings) -> Any:
    from ansible.parsing.vault import VaultLib, VaultSecret  # noqa: PLC0415

    return VaultLib([("default", VaultSecret(_password(vault_password(settings))))])


def _password(path: Path) -> bytes:
    """Return the content of the password file. The first process makes it, atomically."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, secrets.token_urlsafe(32).encode() + b"\n", only_new=True)
    return path.read_bytes().strip()


def _replace(path: Path, content: bytes, *, only_new: bool = False) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if not only_new:
        fresh.replace(path)
        return
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()

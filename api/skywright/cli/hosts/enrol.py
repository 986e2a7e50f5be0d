"""Enrolment of a host: its host key is recorded, then the host is examined; nothing on it changes.

Ansible's ssh uses the recorded keys, `known_hosts` in the state directory.
"""

import fcntl
import ipaddress
import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from skywright.cli.cloud.steps import StepFailed

CONNECT_SECONDS = 10
LOOK_SECONDS = 30
CLOCK_SECONDS = 5.0
PYTHON = (3, 9)
DISK_GIB = 5
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
# The script of the examination. It prints lines `name=value`; a missing value is empty.
LOOK = r"""
LC_ALL=C; export LC_ALL
echo "hostname=$(uname -n)"
echo "uid=$(id -u)"
echo "root=$(sudo -n id -u 2>/dev/null)"
echo "python=$(/usr/bin/python3 -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)"
echo "clock=$(date +%s.%N)"
echo "disk=$(df -Pk /var/lib | { read -r _; read -r _ _ _ free _; echo "$free"; })"
echo "system=$(. /etc/os-release; echo "$ID $VERSION_ID")"
echo "kvm=$(test -c /dev/kvm && echo yes)"
echo "interface=$(test -e /sys/class/net/INTERFACE && echo yes)"
"""

Ask = Callable[[str], bool]


@dataclass(frozen=True)
class Target:
    """The connection parameters of a host. Values that could be options or templates are refused."""

    address: str
    user: str
    key: Path
    port: int = 22

    def __post_init__(self) -> None:
        if not _is_address(self.address):
            raise StepFailed(f"{self.address!r} is not an address", "Give an IP address or a host name.")
        if not USER.fullmatch(self.user):
            raise StepFailed(f"{self.user!r} is not a user name", "Give the name of a user on the host.")
        if not 0 < self.port < 65536:
            raise StepFailed(f"{self.port} is not a port", "Ports go from 1 to 65535.")
        if not self.key.is_file():
            raise StepFailed(f"There is no key {self.key}", "Give a private key with --key; ssh-keygen makes one.")

    @property
    def entry(self) -> str:
        """The host's name in known_hosts."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"


@dataclass(frozen=True)
class Findings:
    """The results of the examination of a host."""

    facts: dict[str, str]
    problems: list[str]

    @property
    def hostname(self) -> str:
        return self.facts.get("hostname", "").partition(".")[0]

    @property
    def is_root(self) -> bool:
        return self.facts.get("uid") == "0"

    @property
    def has_kvm(self) -> bool:
        return self.facts.get("kvm") == "yes"


class KnownHosts:
    """The recorded host keys of a cloud."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def record(self, entry: str, key: paramiko.PKey) -> None:
        self._rewrite(entry, f"{entry} {key.get_name()} {key.get_base64()}\n")

    def forget(self, entry: str) -> None:
        self._rewrite(entry, "")

    def _rewrite(self, entry: str, line: str) -> None:
        """Replace the lines of *entry* by *line*."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
            kept = [other for other in lines if other.partition(" ")[0] != entry]
            new = self.path.with_name(f"{self.path.name}.new")
            new.write_text("".join([*kept, line]))
            new.replace(self.path)


class _ConfirmHostKey(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
    """The policy for a new host key: it must have the given fingerprint, or the operator must confirm it."""

    def __init__(self, known: KnownHosts, fingerprint: str | None, ask: Ask) -> None:
        self._known, self._fingerprint, self._ask = known, fingerprint, ask

    def missing_host_key(self, _client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        shown = f"{key.get_name()} {key.fingerprint}"
        if self._fingerprint is not None and self._fingerprint != key.fingerprint:
            raise StepFailed(f"{hostname} has another key: {shown}", "Is it the right host? Nothing was changed.")
        if self._fingerprint is None and not self._ask(f"{hostname} has the key {shown}"):
            advice = "Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there; then --fingerprint it."
            raise StepFailed(f"The key of {hostname} was not accepted: {shown}", advice)
        self._known.record(hostname, key)


def look(target: Target, known: KnownHosts, interface: str, fingerprint: str | None, ask: Ask) -> Findings:
    """Log in to *target* and examine it; raise StepFailed if that fails or its key is not the recorded one."""
    key = _private_key(target.key)
    with paramiko.SSHClient() as client:
        if known.path.exists():
            client.get_host_keys().load(str(known.path))
        client.set_missing_host_key_policy(_ConfirmHostKey(known, fingerprint, ask))
        _connect(client, target, key, known)
        began = time.time()
        facts = _read(client, LOOK.replace("INTERFACE", shlex.quote(interface)))
        ended = time.time()
    return Findings(facts, list(_problems(facts, target, interface, began, ended)))


def _private_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except TypeError as error:
        raise StepFailed(f"{path} has a passphrase", "Workers need a key without a passphrase.") from error
    except (ValueError, OSError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
        raise StepFailed(f"{path} is not a private key", "ssh-keygen makes one.") from error


def _connect(client: paramiko.SSHClient, target: Target, key: paramiko.PKey, known: KnownHosts) -> None:
    try:
        client.connect(
            target.address,
            target.port,
            target.user,
            pkey=key,
            allow_agent=False,  # workers have no agent
            look_for_keys=False,
            timeout=CONNECT_SECONDS,
            banner_timeout=CONNECT_SECONDS,
            auth_timeout=CONNECT_SECONDS,
        )
    except paramiko.BadHostKeyException as error:
        raise StepFailed(
            f"THE KEY OF {target.entry} HAS CHANGED: it shows {error.key.get_name()} {error.key.fingerprint}, "
            f"but {error.expected_key.fingerprint} is recorded. Somebody may be listening. Nothing was done.",
            f"If the host was installed anew: `ssh-keygen -f {shlex.quote(str(known.path))} -R "
            f"{shlex.quote(target.entry)}`, then add it again.",
        ) from error
    except paramiko.AuthenticationException as error:
        advice = f"Does {target.user} have the public half of {target.key} in authorized_keys there?"
        raise StepFailed(f"{target.entry} does not let {target.user} in with {target.key}", advice) from error
    except (paramiko.SSHException, OSError, ValueError) as error:
        raise StepFailed(f"{target.entry} cannot be reached by SSH: {error}", "Is it on, and does sshd run?") from error


def _read(client: paramiko.SSHClient, script: str) -> dict[str, str]:
    try:
        stdin, stdout, _ = client.exec_command("sh -s", timeout=LOOK_SECONDS)
        stdin.write(script)
        stdin.channel.shutdown_write()
        text = stdout.read(1 << 16).decode(errors="replace")
    except (paramiko.SSHException, OSError) as error:
        raise StepFailed(f"The host does not run commands: {error}", "Is the user's shell a POSIX shell?") from error
    # The output of a host is printed on a terminal: remove control characters.
    lines = ["".join(filter(str.isprintable, line)) for line in text.splitlines()]
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _problems(facts: dict[str, str], target: Target, interface: str, began: float, ended: float) -> Iterator[str]:
    """Yield all problems that prevent the use of the host."""
    if facts.get("system") != "debian 12":
        yield f"it runs {facts.get('system') or 'an unknown system'}: Debian 12 is needed"
    if facts.get("uid") != "0" and facts.get("root") != "0":
        yield f"{target.user} is not root and may not use sudo without a password"
    version = facts.get("python", "")
    if not re.fullmatch(r"\d{1,3}\.\d{1,3}", version) or tuple(map(int, version.split("."))) < PYTHON:
        yield f"/usr/bin/python3 is {version or 'missing'}: Python {PYTHON[0]}.{PYTHON[1]} or newer is needed"
    clock = _number(facts.get("clock"))
    off = 0.0 if clock is None else max(began - clock, clock - ended, 0.0)
    if clock is None or off > CLOCK_SECONDS:
        yield (
            "its clock cannot be read" if clock is None else f"its clock is off by {off:.0f} s: at most 5 s is bearable"
        )
    disk = _number(facts.get("disk"))
    if disk is None or disk < DISK_GIB * 2**20:
        yield f"{(disk or 0) / 2**20:.1f} GiB are free in /var/lib: at least {DISK_GIB} GiB are needed"
    if interface and facts.get("interface") != "yes":
        yield f"it has no network interface {interface}"


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text) else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) < 254 and all(LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    return "%" not in text

"""Authorization by oslo.policy: OpenStack's rules, checks and default roles (admin > manager > member > reader).

A service declares its rules as data: `{"os_compute_api:servers:create": "rule:project_member_or_admin", ...}`. An
operator overrides them in `<state_dir>/policy.yaml`, as with any OpenStack service. Rules for one service only, such as
base rules whose meaning differs between services, go to `<state_dir>/policy.d/<service type>/`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from oslo_config import cfg
from oslo_policy import opts, policy

ADMIN = "rule:context_is_admin"
ANYONE = "@"
REMEMBERED = 4_000  # decisions of each service


class Policy:
    """The rules of one service; *service* is its type."""

    def __init__(self, service: str, rules: Mapping[str, str], root: Path) -> None:
        self._file, self._directory = root / "policy.yaml", root / "policy.d" / service
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        opts.set_defaults(conf, policy_file=str(self._file))
        conf.set_override("policy_dirs", [str(self._directory)], group="oslo_policy")
        self._enforcer = policy.Enforcer(conf)
        # Most rules in policy.yaml belong to other services, and use rules that only those have.
        self._enforcer.skip_undefined_check = True
        for name, check in rules.items():
            self._enforcer.register_default(policy.RuleDefault(name, check))
        # While changed files are loaded, rules are missing.
        self._lock = Lock()
        self._loaded: Sequence[int] | None = None
        self._decided: dict[str, bool] = {}

    def overrides(self) -> dict[str, str]:
        """{rule: check} of the operator's files, rules of other services too."""
        with self._lock:
            self._load()
            return {name: rule.check_str for name, rule in self._enforcer.file_rules.items()}

    def allows(self, rule: str, target: Mapping[str, Any], credentials: Mapping[str, Any]) -> bool:
        """Return whether *credentials* pass *rule* on *target*. Raises KeyError for an unknown rule, which is a bug.

        Decisions are cached until the rules change, because each check of oslo.policy takes long.
        """
        if rule not in self._enforcer.registered_rules:
            raise KeyError(rule)
        # A missing attribute of the target must not equal a missing one of the credentials (project_id None without a
        # project).
        present = {name: value for name, value in target.items() if value is not None}
        # Decoded, because what `orjson.dumps` returns holds a buffer of 8 kB or more.
        key = orjson.dumps((rule, present, credentials), default=str).decode()
        with self._lock:
            self._load()
            if key not in self._decided:
                if len(self._decided) >= REMEMBERED:
                    self._decided.clear()
                self._decided[key] = bool(self._enforcer.enforce(rule, present, dict(credentials)))
            return self._decided[key]

    def _load(self) -> None:
        """Load the files again if they have changed. oslo.policy's own check takes much longer."""
        found = self._changes()
        if found != self._loaded:
            self._enforcer.load_rules(force_reload=True)
            self._loaded, self._decided = found, {}

    def _changes(self) -> Sequence[int]:
        """Return the modification times of the files."""
        times = []
        with suppress(OSError):
            times.append(self._file.stat().st_mtime_ns)
        with suppress(OSError):
            times.append(self._directory.stat().st_mtime_ns)
            times += [entry.stat().st_mtime_ns for entry in self._directory.iterdir()]
        return times


class Policies:
    """The rules of all services, *rules* by the type of each."""

    def __init__(self, rules: Mapping[str, Mapping[str, str]], root: Path) -> None:
        self._services = {service: Policy(service, own, root) for service, own in rules.items()}
        self._owners = {rule: self._services[service] for service, own in rules.items() for rule in own}

    def of(self, service: str) -> Policy:
        """The rules of the service of this type."""
        return self._services[service]

    def owning(self, rule: str) -> Policy:
        """Return the policy of the service that has *rule*; KeyError if there is none."""
        return self._owners[rule]

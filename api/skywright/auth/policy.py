"""Authorization by oslo.policy, with OpenStack's default roles (admin > manager > member > reader).

A service declares its rules as data: `{"compute:servers:create": MEMBER, ...}`. An operator overrides them in
`<state_dir>/policy.yaml`, as with any OpenStack service.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from oslo_config import cfg
from oslo_policy import opts, policy

ADMIN = "role:admin"
ANYONE = "@"
MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
READER = "role:admin or (role:reader and project_id:%(project_id)s)"
REMEMBERED = 20_000


class Policy:
    """The rules of all services."""

    def __init__(self, rules: Mapping[str, str], overrides: Path) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        opts.set_defaults(conf, policy_file=str(overrides))
        self._enforcer = policy.Enforcer(conf)
        for name, check in rules.items():
            self._enforcer.register_default(policy.RuleDefault(name, check))
        self._enforcer.load_rules()
        self._decided: dict[bytes, bool] = {}
        self._decided_by = self._enforcer.rules

    def allows(self, rule: str, target: Mapping[str, Any], credentials: Mapping[str, Any]) -> bool:
        """Whether *credentials* pass *rule* on *target*; an unknown rule is a KeyError, a programming mistake.

        Decisions are remembered until the rules change: oslo.policy takes a while for each check of a rule.
        """
        if rule not in self._enforcer.registered_rules:
            raise KeyError(rule)
        # What a target lacks must not equal what the credentials lack (a token without a project has project_id None).
        present = {name: value for name, value in target.items() if value is not None}
        self._enforcer.load_rules()
        if self._decided_by is not self._enforcer.rules or len(self._decided) >= REMEMBERED:
            self._decided, self._decided_by = {}, self._enforcer.rules
        key = orjson.dumps((rule, present, credentials), default=str)
        decided = self._decided
        if key not in decided:
            decided[key] = bool(self._enforcer.enforce(rule, present, dict(credentials)))
        return decided[key]

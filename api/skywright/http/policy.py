"""Authorization by oslo.policy, with OpenStack's default roles (admin > manager > member > reader).

A service declares its rules as data: `{"compute:servers:create": MEMBER, ...}`. An operator overrides them in
`<state_dir>/policy.yaml`, as with any OpenStack service.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

ADMIN = "role:admin"
ANYONE = "@"
MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
READER = "role:admin or (role:reader and project_id:%(project_id)s)"


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

    def allows(self, rule: str, target: Mapping[str, Any], credentials: Mapping[str, Any]) -> bool:
        """Whether *credentials* pass *rule* on *target*; an unknown rule is a KeyError, a programming mistake."""
        if rule not in self._enforcer.registered_rules:
            raise KeyError(rule)
        # What a target lacks must not equal what the credentials lack (a token without a project has project_id None).
        present = {name: value for name, value in target.items() if value is not None}
        return bool(self._enforcer.enforce(rule, present, dict(credentials)))

"""The credentials of a request: the user, the scope and the roles of a valid token."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Credentials:
    """The contents of a valid token. Scope: `project_id`, `domain_id` or `system`; none of them: unscoped."""

    user_id: str
    user_name: str
    user_domain_id: str
    audit_id: str
    issued_at: datetime
    expires_at: datetime
    methods: tuple[str, ...] = ("password",)
    project_id: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    roles: tuple[str, ...] = ()
    trust_id: str | None = None
    application_credential_id: str | None = None
    # (service type, method, path pattern) that an application credential is limited to; None: no such limit.
    access_rules: tuple[tuple[str, str, str], ...] | None = None
    # Whether the token may create credentials and trusts. Restricted application credentials may not.
    unrestricted: bool = True

    def for_policy(self) -> dict[str, Any]:
        """Return the credentials for oslo.policy, with the names of oslo.context and Keystone (`token.domain.id`)."""
        project_domain = {"domain": {"id": self.project_domain_id}}
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": "all" if self.system else None,
            "roles": list(self.roles),
            "token": {"domain": {"id": self.domain_id}, "project": project_domain},
        }

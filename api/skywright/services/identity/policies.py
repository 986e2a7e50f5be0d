"""Identity's policy rules: Keystone's names, targets and defaults, with its personas.

An administrator may do everything. A reader of the system sees everything; a reader of a domain sees the contents of
the domain; a manager of a domain changes its users, groups, projects and grants; a user sees and changes his own
resources.

https://docs.openstack.org/keystone/latest/configuration/policy.html
"""

ADMIN, TOKEN = "rule:admin_required", ""
# Base rules of Keystone, which its other rules and operators' policy files use.
BASE = {
    "admin_required": "role:admin or is_admin:1",
    "service_role": "role:service",
    "service_or_admin": "rule:admin_required or rule:service_role",
    "owner": "user_id:%(user_id)s",
    "admin_or_owner": "rule:admin_required or rule:owner",
    "token_subject": "user_id:%(target.token.user_id)s",
    "admin_or_token_subject": "rule:admin_required or rule:token_subject",
    "service_admin_or_token_subject": "rule:service_or_admin or rule:token_subject",
    "domain_managed_target_role": (
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"
    ),
}

SYSTEM_READER = "(role:reader and system_scope:all)"
ADMIN_OR_SYSTEM_READER = f"{ADMIN} or {SYSTEM_READER}"
READER = f"({ADMIN}) or {SYSTEM_READER}"

DOMAIN_READER = f"{READER} or (role:reader and domain_id:%(target.domain_id)s)"
_IN_DOMAIN = "domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s"
PROJECT_READER = f"{READER} or (role:reader and {_IN_DOMAIN}) or project_id:%(target.project.id)s"
PROJECT_MANAGER = f"({ADMIN}) or (role:manager and {_IN_DOMAIN})"
_OWN_USER = "user_id:%(target.user.id)s"
_READER_OF_USER = f"{READER} or (role:reader and domain_id:%(target.user.domain_id)s)"
USER_READER = f"{READER} or (role:reader and token.domain.id:%(target.user.domain_id)s) or {_OWN_USER}"
USER_MANAGER = f"({ADMIN}) or (role:manager and token.domain.id:%(target.user.domain_id)s)"
_OF_GROUP = "domain_id:%(target.group.domain_id)s"
_OF_GROUP_AND_USER = f"{_OF_GROUP} and domain_id:%(target.user.domain_id)s"
GROUP_READER = f"{READER} or (role:reader and {_OF_GROUP})"
GROUP_MANAGER = f"({ADMIN}) or (role:manager and {_OF_GROUP})"
MEMBERSHIP_READER = f"{READER} or (role:reader and {_OF_GROUP_AND_USER})"
MEMBERSHIP_MANAGER = f"({ADMIN}) or (role:manager and {_OF_GROUP_AND_USER})"
ROLE_READER = f"({ADMIN_OR_SYSTEM_READER}) or (role:manager and rule:domain_managed_target_role)"
_CREDENTIAL = "user_id:%(target.credential.user_id)s"
_TRUSTOR, _TRUSTEE = "user_id:%(target.trust.trustor_user_id)s", "user_id:%(target.trust.trustee_user_id)s"
TRUST_READER = f"({ADMIN}) or (role:reader and system_scope:all or {_TRUSTOR} or {_TRUSTEE})"


def _of_both(role: str) -> str:
    """Return the check for *role* on the domain of both the actor and the target of a grant."""
    return " or ".join(
        f"(role:{role} and domain_id:%(target.{actor}.domain_id)s and domain_id:%(target.{place})s)"
        for actor in ("user", "group")
        for place in ("project.domain_id", "domain.id")
    )


_GRANTABLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
GRANTS_READER = f"({ADMIN}) or ({SYSTEM_READER} or {_of_both('reader')})"
GRANT_READER = f"({ADMIN}) or ({SYSTEM_READER} or ({_of_both('reader')}) and {_GRANTABLE})"
GRANT_MANAGER = (
    f"({ADMIN}) or ({_of_both('admin')}) and {_GRANTABLE}"
    f" or ({_of_both('manager')}) and rule:domain_managed_target_role"
)


def _resource(kind: str, read: str, write: str, plural: str | None = None) -> dict[str, str]:
    rules = {f"{verb}_{kind}": write for verb in ("create", "update", "delete")}
    return rules | {f"get_{kind}": read, f"list_{plural or kind + 's'}": read}


RULES = {
    "get_auth_catalog": TOKEN,
    "get_auth_projects": TOKEN,
    "get_auth_domains": TOKEN,
    "get_auth_system": TOKEN,
    "check_token": f"{ADMIN_OR_SYSTEM_READER} or rule:token_subject",
    "validate_token": f"{ADMIN_OR_SYSTEM_READER} or rule:service_role or rule:token_subject",
    "revoke_token": f"{ADMIN} or rule:token_subject",
    **_resource("domain", ADMIN_OR_SYSTEM_READER, ADMIN),
    "get_domain": (
        f"{ADMIN_OR_SYSTEM_READER} or token.domain.id:%(target.domain.id)s"
        " or token.project.domain.id:%(target.domain.id)s"
    ),
    "list_domains": f"{ADMIN_OR_SYSTEM_READER} or (role:reader and domain_id:%(target.domain.id)s)",
    **_resource("project", PROJECT_READER, PROJECT_MANAGER),
    "list_projects": DOMAIN_READER,
    "list_user_projects": f"{_READER_OF_USER} or {_OWN_USER}",
    "list_project_tags": PROJECT_READER,
    "get_project_tag": PROJECT_READER,
    "update_project_tags": PROJECT_MANAGER,
    "create_project_tag": PROJECT_MANAGER,
    "delete_project_tags": PROJECT_MANAGER,
    "delete_project_tag": PROJECT_MANAGER,
    **_resource("user", USER_READER, USER_MANAGER),
    "list_users": DOMAIN_READER,
    **_resource("group", GROUP_READER, GROUP_MANAGER),
    "list_groups_for_user": f"{_READER_OF_USER} or user_id:%(user_id)s",
    "list_users_in_group": GROUP_READER,
    "check_user_in_group": MEMBERSHIP_READER,
    "add_user_to_group": MEMBERSHIP_MANAGER,
    "remove_user_from_group": MEMBERSHIP_MANAGER,
    **_resource("role", ROLE_READER, ADMIN),
    "list_roles": f"({ADMIN_OR_SYSTEM_READER}) or (role:manager and not domain_id:None)",
    **_resource("domain_role", ADMIN_OR_SYSTEM_READER, ADMIN),
    "get_implied_role": ADMIN_OR_SYSTEM_READER,
    "check_implied_role": ADMIN_OR_SYSTEM_READER,
    "list_implied_roles": ADMIN_OR_SYSTEM_READER,
    "list_role_inference_rules": ADMIN_OR_SYSTEM_READER,
    "create_implied_role": ADMIN,
    "delete_implied_role": ADMIN,
    "list_grants": GRANTS_READER,
    "check_grant": GRANT_READER,
    "create_grant": GRANT_MANAGER,
    "revoke_grant": GRANT_MANAGER,
    **{
        f"{verb}_for_{actor}": ADMIN_OR_SYSTEM_READER if verb.startswith(("list", "check")) else ADMIN
        for verb in ("list_system_grants", "check_system_grant", "create_system_grant", "revoke_system_grant")
        for actor in ("user", "group")
    },
    "list_role_assignments": DOMAIN_READER,
    "list_role_assignments_for_tree": DOMAIN_READER,
    **_resource("region", TOKEN, ADMIN),
    **_resource("service", ADMIN_OR_SYSTEM_READER, ADMIN),
    **_resource("endpoint", ADMIN_OR_SYSTEM_READER, ADMIN),
    **_resource("policy", ADMIN_OR_SYSTEM_READER, ADMIN, "policies"),
    **_resource("credential", f"{READER} or {_CREDENTIAL}", f"({ADMIN}) or {_CREDENTIAL}"),
    "ec2_get_credential": f"{READER} or {_CREDENTIAL}",
    "ec2_list_credentials": f"{READER} or rule:owner",
    "ec2_create_credential": f"({ADMIN}) or (role:member and {_CREDENTIAL})",
    "ec2_delete_credential": f"({ADMIN}) or (role:member and {_CREDENTIAL})",
    "list_trusts": ADMIN_OR_SYSTEM_READER,
    "list_trusts_for_trustor": f"({ADMIN}) or (role:reader and system_scope:all or {_TRUSTOR})",
    "list_trusts_for_trustee": f"({ADMIN}) or (role:reader and system_scope:all or {_TRUSTEE})",
    "get_trust": TRUST_READER,
    "list_roles_for_trust": TRUST_READER,
    "get_role_for_trust": TRUST_READER,
    "create_trust": _TRUSTOR,
    "delete_trust": f"{ADMIN} or {_TRUSTOR}",
    "get_application_credential": f"{READER} or rule:owner",
    "list_application_credentials": f"{READER} or rule:owner",
    "create_application_credential": "user_id:%(user_id)s",
    "delete_application_credential": "rule:admin_or_owner",
    "get_access_rule": f"{SYSTEM_READER} or {_OWN_USER}",
    "list_access_rules": f"{SYSTEM_READER} or {_OWN_USER}",
    "delete_access_rule": f"(role:admin and system_scope:all) or {_OWN_USER}",
}
POLICIES = BASE | {f"identity:{name}": check for name, check in RULES.items()}

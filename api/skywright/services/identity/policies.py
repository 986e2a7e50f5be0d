"""Identity's policy rules: Keystone's names, targets and defaults, with its personas.

An administrator may do everything. A reader of the system sees everything; a reader of a domain sees what is in the
domain; a manager of a domain changes users, groups, projects and grants in it; a user sees and serves himself.
"""

from skywright.auth.policy import ANYONE

ADMIN = "role:admin"
SYSTEM_READER = f"{ADMIN} or (role:reader and system_scope:all)"
DOMAIN_READER = f"{SYSTEM_READER} or (role:reader and domain_id:%(target.domain_id)s)"
DOMAIN_MANAGER = f"{ADMIN} or (role:manager and domain_id:%(target.domain_id)s)"
OWNER = "user_id:%(target.user_id)s"
THIS_PROJECT = "project_id:%(target.project.id)s"

# A manager of a domain hands out these roles only, to users and groups of his domain, on what is in it.
_MANAGED_ROLE = "('manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s)"
_OF_DOMAIN = "domain_id:%(target.actor.domain_id)s and domain_id:%(target.domain_id)s"
GRANT_READER = f"{SYSTEM_READER} or (role:reader and {_OF_DOMAIN})"
GRANT_MANAGER = f"{ADMIN} or (role:manager and {_OF_DOMAIN} and {_MANAGED_ROLE})"

_TRUSTOR, _TRUSTEE = "user_id:%(target.trust.trustor_user_id)s", "user_id:%(target.trust.trustee_user_id)s"


def _resource(kind: str, read: str, write: str, plural: str | None = None) -> dict[str, str]:
    rules = {f"identity:{verb}_{kind}": write for verb in ("create", "update", "delete")}
    return rules | {f"identity:get_{kind}": read, f"identity:list_{plural or kind + 's'}": read}


POLICIES = {
    "context_is_admin": ADMIN,
    # Routes whose rule depends on what they are about enforce it themselves; they need a token all the same.
    "identity:authenticated": ANYONE,
    "identity:validate_token": f"{SYSTEM_READER} or role:service or {OWNER}",
    "identity:revoke_token": f"{ADMIN} or {OWNER}",
    **_resource("domain", DOMAIN_READER, ADMIN),
    "identity:get_domain": f"{DOMAIN_READER} or project_domain_id:%(target.domain_id)s",
    **_resource("project", DOMAIN_READER, DOMAIN_MANAGER),
    "identity:get_project": f"{DOMAIN_READER} or {THIS_PROJECT}",
    "identity:list_user_projects": f"{DOMAIN_READER} or {OWNER}",
    "identity:get_project_tag": f"{DOMAIN_READER} or (role:reader and {THIS_PROJECT})",
    "identity:update_project_tags": f"{DOMAIN_MANAGER} or (role:manager and {THIS_PROJECT})",
    **_resource("user", DOMAIN_READER, DOMAIN_MANAGER),
    "identity:get_user": f"{DOMAIN_READER} or {OWNER}",
    **_resource("group", DOMAIN_READER, DOMAIN_MANAGER),
    "identity:list_groups_for_user": f"{DOMAIN_READER} or {OWNER}",
    "identity:list_users_in_group": DOMAIN_READER,
    "identity:add_user_to_group": DOMAIN_MANAGER,
    "identity:remove_user_from_group": DOMAIN_MANAGER,
    **_resource("role", f"{SYSTEM_READER} or (role:manager and not domain_id:None)", ADMIN),
    **_resource("implied_role", SYSTEM_READER, ADMIN),
    "identity:check_grant": GRANT_READER,
    "identity:create_grant": GRANT_MANAGER,
    "identity:revoke_grant": GRANT_MANAGER,
    "identity:check_system_grant": SYSTEM_READER,
    "identity:create_system_grant": ADMIN,
    "identity:revoke_system_grant": ADMIN,
    "identity:list_role_assignments": DOMAIN_READER,
    **_resource("region", ANYONE, ADMIN),
    **_resource("service", SYSTEM_READER, ADMIN),
    **_resource("endpoint", SYSTEM_READER, ADMIN),
    **_resource("policy", SYSTEM_READER, ADMIN, "policies"),
    **_resource("credential", f"{SYSTEM_READER} or {OWNER}", f"{ADMIN} or {OWNER}"),
    "identity:list_trusts": SYSTEM_READER,
    "identity:list_own_trusts": f"{SYSTEM_READER} or {_TRUSTOR} or {_TRUSTEE}",
    "identity:get_trust": f"{SYSTEM_READER} or {_TRUSTOR} or {_TRUSTEE}",
    "identity:create_trust": _TRUSTOR,
    "identity:delete_trust": f"{ADMIN} or {_TRUSTOR}",
    "identity:get_application_credential": f"{SYSTEM_READER} or {OWNER}",
    "identity:create_application_credential": OWNER,
    "identity:delete_application_credential": f"{ADMIN} or {OWNER}",
}

"""The policy rules of notes."""

ADMIN = "rule:context_is_admin"
OWNER = "project_id:%(project_id)s"
MEMBER = f"{ADMIN} or (role:member and {OWNER})"
READER = f"{ADMIN} or (role:reader and {OWNER})"

POLICIES = {
    "context_is_admin": "role:admin",
    "notes:create": MEMBER,
    "notes:delete": MEMBER,
    "notes:show": READER,
}

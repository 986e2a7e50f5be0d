"""The policy rules of what OpenStack has no names for: jobs, plans, drift, hosts..."""

from skywright.auth.policy import ADMIN, ANYONE

MEMBER = f"{ADMIN} or (role:member and project_id:%(project_id)s)"
READER = f"{ADMIN} or (role:reader and project_id:%(project_id)s)"

BASE = {"context_is_admin": "role:admin"}
POLICIES = BASE | {
    "operations:jobs:list": READER,
    "operations:jobs:list_all": ADMIN,
    "operations:jobs:show": READER,
    "operations:jobs:cancel": MEMBER,
    "operations:jobs:force": ADMIN,
    "operations:jobs:update": ADMIN,
    # Whoever has a token may plan: what, is up to the rules of the planned request.
    "operations:plan": ANYONE,
    # How hosts differ from the records: everybody may know, and repair, what is his project's.
    "operations:drift": READER,
    "operations:drift_all": ADMIN,
    "operations:converge": MEMBER,
    "operations:converge_all": ADMIN,
    "operations:audit:list": READER,
    "operations:audit:list_all": ADMIN,
    "operations:webhooks:list": READER,
    "operations:webhooks:show": READER,
    "operations:webhooks:create": MEMBER,
    "operations:webhooks:delete": MEMBER,
    # Of all projects' jobs: to be told of them, and to see who is.
    "operations:webhooks:all_projects": ADMIN,
    "operations:schedules:list": READER,
    "operations:schedules:list_all": ADMIN,
    "operations:schedules:show": READER,
    "operations:schedules:create": MEMBER,
    # A schedule acts with its owner's rights: nobody else of the project decides when.
    "operations:schedules:update": f"{ADMIN} or (role:member and project_id:%(project_id)s and user_id:%(user_id)s)",
    # Operator playbooks do on hosts whatever they like.
    "operations:playbooks:list": ADMIN,
    "operations:playbooks:run": ADMIN,
    # Overclouds: whoever names a plan's hosts has Ansible log in there.
    "operations:overclouds:list": ADMIN,
    "operations:overclouds:show": ADMIN,
    "operations:overclouds:deploy": ADMIN,
    "operations:overclouds:delete": ADMIN,
    "operations:hosts:list": ADMIN,
    "operations:hosts:show": ADMIN,
    # A host's variables say how Ansible reaches it: whoever sets them can make the controller do anything.
    "operations:hosts:update": ADMIN,
    "operations:hosts:delete": ADMIN,
}

"""The policy rules of operations without OpenStack names: jobs, plans, drift, hosts..."""

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
    # Any valid token may plan: the rules of the planned request apply, too.
    "operations:plan": ANYONE,
    # Drift: users may see and repair their own projects' resources.
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
    # Jobs of all projects: following them, and seeing who requested them.
    "operations:webhooks:all_projects": ADMIN,
    "operations:schedules:list": READER,
    "operations:schedules:list_all": ADMIN,
    "operations:schedules:show": READER,
    "operations:schedules:create": MEMBER,
    # A schedule uses its owner's rights, so that other users of the project must not control it.
    "operations:schedules:update": f"{ADMIN} or (role:member and project_id:%(project_id)s and user_id:%(user_id)s)",
    # Operator playbooks can change anything on hosts.
    "operations:playbooks:list": ADMIN,
    "operations:playbooks:run": ADMIN,
    # Overclouds: Ansible logs in to the hosts in a plan.
    "operations:overclouds:list": ADMIN,
    "operations:overclouds:show": ADMIN,
    "operations:overclouds:deploy": ADMIN,
    "operations:overclouds:delete": ADMIN,
    "operations:hosts:list": ADMIN,
    "operations:hosts:show": ADMIN,
    # A host's variables control how Ansible connects to it, so that they can execute anything on the controller.
    "operations:hosts:update": ADMIN,
    "operations:hosts:delete": ADMIN,
}

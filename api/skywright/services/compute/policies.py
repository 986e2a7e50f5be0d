"""Compute's policy rules."""

from skywright.auth.policy import ADMIN, ANYONE, MEMBER, READER

POLICIES = {
    "compute:extensions": ANYONE,
    "compute:flavors:read": ANYONE,
    "compute:flavors:manage": ADMIN,
    "compute:keypairs:read": ANYONE,
    "compute:keypairs:write": "role:admin or role:member",
    "compute:keypairs:any_user": ADMIN,
    "compute:servers:read": READER,
    "compute:servers:write": MEMBER,
    "compute:servers:consoles": MEMBER,
    "compute:servers:all_projects": ADMIN,
    "compute:servers:forced_host": ADMIN,
    "compute:servers:reset_state": ADMIN,
    "compute:servers:unlock_override": ADMIN,
    "compute:servers:diagnostics": ADMIN,
    "compute:consoles:tokens": ADMIN,
    "compute:limits": ANYONE,
    "compute:limits:any_project": ADMIN,
    "compute:zones": ANYONE,
    "compute:zones:detail": ADMIN,
    "compute:hypervisors": ADMIN,
    "compute:services": ADMIN,
    "compute:quotas:read": ANYONE,
    "compute:quotas:manage": ADMIN,
    "compute:usage": READER,
    "compute:usage:all_projects": ADMIN,
}

"""The network service's policy rules."""

from skywright.auth.policy import ANYONE, MEMBER, READER

ADMIN = "role:admin"
KINDS = ("networks", "subnets", "ports", "subnetpools")
POLICIES = {
    "context_is_admin": "role:admin",
    **{f"network:{kind}:read": READER for kind in KINDS},
    **{f"network:{kind}:{action}": MEMBER for kind in KINDS for action in ("create", "update", "delete")},
    # Making things that belong to another project than the token's.
    "network:other_projects": ADMIN,
    "network:networks:share": ADMIN,
    "network:networks:provider": ADMIN,
    "network:subnetpools:share": ADMIN,
    "network:ports:binding": ADMIN,
    # Choosing address or MAC on a network that is somebody else's and shared.
    "network:ports:choose_address": MEMBER,
    "network:extensions:read": ANYONE,
    "network:quotas:read": READER,
    "network:quotas:change": ADMIN,
    "network:ip_availability:read": ADMIN,
}

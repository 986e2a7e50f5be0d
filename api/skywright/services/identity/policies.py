"""Identity's policy rules."""

from skywright.http.policy import ADMIN, ANYONE

POLICIES = {
    "identity:validate_token": ANYONE,
    "identity:revoke_token": ANYONE,
    "identity:any_token": f"{ADMIN} or role:service",
}

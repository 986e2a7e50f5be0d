"""Identity v3, what Keystone is in OpenStack."""

from skywright.http.service import Service
from skywright.services.identity import tokens, versions
from skywright.services.identity.errors import render_error
from skywright.services.identity.policies import POLICIES

SERVICE = Service(
    name="keystone",
    type="identity",
    prefix="/identity",
    port=5000,
    endpoint="",
    routers=[versions.router, tokens.router],
    policies=POLICIES,
    render_error=render_error,
)

"""Skywright's own API: jobs with their events, and hosts."""

from skywright.http.service import Service
from skywright.services.native import follow, hosts, jobs, plan, versions
from skywright.services.native.errors import render_error
from skywright.services.native.policies import POLICIES

SERVICE = Service(
    name="skywright",
    type="operations",
    prefix="/v1",
    port=None,
    endpoint="",
    routers=[versions.router, jobs.router, follow.router, hosts.router, plan.router],
    policies=POLICIES,
    render_error=render_error,
)

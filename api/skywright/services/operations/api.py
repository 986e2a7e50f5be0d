"""Skywright's own API: jobs and events, hosts, the audit trail, and other operations."""

from skywright.http.service import Service
from skywright.services.operations import (
    audit,
    drift,
    follow,
    hosts,
    jobs,
    overclouds,
    plan,
    playbooks,
    schedules,
    versions,
    webhooks,
)
from skywright.services.operations.automation.schedules import running
from skywright.services.operations.errors import render_error
from skywright.services.operations.policies import POLICIES

SERVICE = Service(
    name="skywright",
    type="operations",
    prefix="/v1",
    port=None,
    endpoint="",
    routers=[
        versions.router,
        jobs.router,
        follow.router,
        hosts.router,
        audit.router,
        plan.router,
        drift.router,
        webhooks.router,
        schedules.router,
        playbooks.router,
        overclouds.router,
    ],
    policies=POLICIES,
    render_error=render_error,
    background=running,
)

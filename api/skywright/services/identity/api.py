"""Identity v3, what Keystone is in OpenStack."""

from skywright.http.service import Service
from skywright.services.identity import (
    application_credentials,
    catalog,
    credentials,
    domains,
    grants,
    groups,
    policy_documents,
    projects,
    regions,
    role_assignments,
    roles,
    services,
    tags,
    tokens,
    trusts,
    users,
    versions,
)
from skywright.services.identity.errors import refusal, render_error
from skywright.services.identity.policies import POLICIES

SERVICE = Service(
    name="keystone",
    type="identity",
    prefix="/identity",
    port=5000,
    endpoint="",
    routers=[
        versions.router,
        tokens.router,
        catalog.router,
        projects.router,
        users.router,
        groups.router,
        domains.router,
        roles.router,
        grants.router,
        role_assignments.router,
        tags.router,
        regions.router,
        services.router,
        credentials.router,
        application_credentials.router,
        trusts.router,
        policy_documents.router,
    ],
    policies=POLICIES,
    render_error=render_error,
    refusal=refusal,
    admin="admin_required",
)

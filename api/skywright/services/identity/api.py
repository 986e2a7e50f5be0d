"""Identity v3, the API of Keystone."""

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

ABSENT = {
    "/v3/OS-FEDERATION": "federation",
    "/v3/auth/OS-FEDERATION": "federation",
    "/v3/OS-OAUTH1": "OAuth",
    "/v3/users/*/OS-OAUTH1": "OAuth",
    "/v3/OS-OAUTH2": "OAuth",
    "/v3/OS-EP-FILTER": "endpoint filters",
    "/v3/OS-ENDPOINT-POLICY": "endpoint policies",
    "/v3/*/OS-ENDPOINT-POLICY": "endpoint policies",
    "/v3/domains/*/config": "domain configurations",
    "/v3/ec2tokens": "EC2 tokens",
    "/v3/s3tokens": "S3 tokens",
    "/v3/limits": "unified limits",
    "/v3/registered_limits": "unified limits",
}

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
    absent=ABSENT,
)

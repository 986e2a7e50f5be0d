"""Compute v2.1, the API of Nova."""

from skywright.http.service import Service
from skywright.services.compute import (
    extensions,
    flavor_specs,
    flavors,
    floating_ips,
    host_services,
    hypervisors,
    instance_actions,
    keypairs,
    limits,
    metadata_service,
    not_offered,
    quotas,
    remote_console_proxy,
    remote_consoles,
    server_actions,
    server_create,
    server_details,
    server_passwords,
    servers,
    usage,
    usage_audit_log,
    versions,
    zones,
)
from skywright.services.compute.errors import explain, render_error
from skywright.services.compute.microversions import MICROVERSIONS
from skywright.services.compute.policies import POLICIES

# In addition to what `not_offered` answers.
ABSENT = {
    "/v2.1/os-aggregates": "host aggregates",
    "/v2.1/os-assisted-volume-snapshots": "volumes",
    "/v2.1/os-server-external-events": "external events",
    "/v2.1/os-services/*": "deletion of compute services",
    "/v2.1/servers/*/migrations": "migrations",
    "/v2.1/servers/*/shares": "shares",
}

SERVICE = Service(
    name="nova",
    type="compute",
    prefix="/compute",
    port=8774,
    endpoint="/v2.1",
    ignores_slash=False,  # `os-simple-tenant-usage/` is not the list
    routers=[
        versions.router,
        servers.router,
        server_create.router,
        server_actions.router,
        server_details.router,
        remote_consoles.router,
        remote_console_proxy.router,
        instance_actions.router,
        flavors.router,
        flavor_specs.router,
        keypairs.router,
        floating_ips.router,
        limits.router,
        quotas.router,
        zones.router,
        hypervisors.router,
        host_services.router,
        usage.router,
        usage_audit_log.router,
        server_passwords.router,
        metadata_service.router,
        not_offered.router,
        extensions.router,
    ],
    policies=POLICIES,
    render_error=render_error,
    explain=explain,
    absent=ABSENT,
    middleware=[MICROVERSIONS],
)

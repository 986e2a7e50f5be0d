"""Network v2.0, the API of Neutron: networks, subnets, ports, subnet pools, address scopes, RBAC policies."""

from skywright.http.service import Service
from skywright.services.network import (
    absent,
    address_scopes,
    availability,
    extensions,
    networks,
    ports,
    quotas,
    rbac_policies,
    segment_defaults,
    segment_ranges,
    subnetpools,
    subnets,
    tags,
    versions,
)
from skywright.services.network.errors import explain, refusal, render_error
from skywright.services.network.policies import POLICIES

SERVICE = Service(
    name="neutron",
    type="network",
    prefix="/networking",
    port=9696,
    endpoint="",
    routers=[
        module.router
        for module in (
            versions,
            extensions,
            networks,
            subnets,
            ports,
            subnetpools,
            address_scopes,
            rbac_policies,
            segment_ranges,
            tags,
            quotas,
            availability,
            absent,
        )
    ],
    policies=POLICIES,
    render_error=render_error,
    background=segment_defaults.recorded,
    explain=explain,
    absent=absent.ABSENT,
    refusal=refusal,
)

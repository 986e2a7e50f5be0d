"""Network v2.0, the API of Neutron: networks, routers, floating IPs, subnet pools, address scopes, RBAC policies."""

from skywright.http.service import Service
from skywright.services.network import (
    absent,
    address_scopes,
    availability,
    extensions,
    floating_ips,
    floatingip_pools,
    networks,
    port_forwardings,
    ports,
    qos_policies,
    qos_rules,
    quotas,
    rbac_policies,
    router_interfaces,
    routers,
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
            routers,
            router_interfaces,
            floating_ips,
            floatingip_pools,
            port_forwardings,
            subnetpools,
            address_scopes,
            qos_policies,
            qos_rules,
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

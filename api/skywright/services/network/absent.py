"""Neutron's APIs that this cloud does not have."""

from collections.abc import Callable
from typing import Any

from skywright.http import Context, Router
from skywright.http.policy import AUTHENTICATED

router = Router()
# Some clients stop if such a list does not exist, for example `openstack project cleanup`.
USUAL = {
    "agents": "network agents",
    "security-groups": "security groups",
    "service-providers": "service providers",
}
ABSENT = {f"/v2.0/{path}": things for path, things in USUAL.items()} | {
    "/v2.0/address-groups": "address groups",
    "/v2.0/auto-allocated-topology": "automatic topologies",
    "/v2.0/availability_zones": "availability zones of networks",
    "/v2.0/bgp-peers": "dynamic routing",
    "/v2.0/bgp-speakers": "dynamic routing",
    "/v2.0/bgpvpn": "BGP VPNs",
    "/v2.0/default-security-group-rules": "security groups",
    "/v2.0/flavors": "network flavors",
    "/v2.0/fwaas": "firewalls",
    "/v2.0/lbaas": "load balancers",
    "/v2.0/local_ips": "local IPs",
    "/v2.0/log/logs": "network logs",
    "/v2.0/metering/metering-label-rules": "metering",
    "/v2.0/metering/metering-labels": "metering",
    "/v2.0/ndp_proxies": "NDP proxies",
    "/v2.0/routers/*/conntrack_helpers": "connection tracking helpers",
    "/v2.0/routers/*/l3-agents": "network agents",
    "/v2.0/routers/*/add_external_gateways": "several gateways of a router",
    "/v2.0/routers/*/remove_external_gateways": "several gateways of a router",
    "/v2.0/routers/*/update_external_gateways": "several gateways of a router",
    "/v2.0/networks/*/dhcp-agents": "network agents",
    "/v2.0/ports/*/bindings": "further bindings of ports",
    "/v2.0/qos/alias_minimum_bandwidth_rules": "guaranteed bandwidth",
    "/v2.0/qos/alias_minimum_packet_rate_rules": "guaranteed packet rates",
    "/v2.0/qos/policies/*/minimum_bandwidth_rules": "guaranteed bandwidth",
    "/v2.0/qos/policies/*/minimum_packet_rate_rules": "guaranteed packet rates",
    "/v2.0/security-group-rules": "security groups",
    "/v2.0/security-groups-default-statefulness": "security groups",
    "/v2.0/segments": "network segments",
    "/v2.0/service_profiles": "network flavors",
    "/v2.0/sfc": "service function chains",
    "/v2.0/subnetpools/*/onboard_network_subnets": "subnet onboarding",
    "/v2.0/taas": "taps",
    "/v2.0/trunks": "trunks",
    "/v2.0/vpn": "VPNs",
}


def _empty(path: str) -> Callable[[Context], dict[str, Any]]:
    key = path.replace("-", "_")

    def list_none(context: Context) -> dict[str, Any]:
        return {key: []}

    return list_none


for each in USUAL:
    router.operation("GET", f"/v2.0/{each}", policy=AUTHENTICATED)(_empty(each))

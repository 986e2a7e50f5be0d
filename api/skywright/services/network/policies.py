"""The network service's policy rules: Neutron's names, targets, defaults and checks of a target's fields.

https://docs.openstack.org/neutron/latest/configuration/policy.html
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from oslo_policy import policy

from skywright.services.network.router_policies import ROUTER_POLICIES

ADMIN = "rule:admin_only"
SERVICE = "rule:service_api"
OWNER = "project_id:%(project_id)s"
MEMBER = f"({ADMIN}) or (role:member and {OWNER})"
READER = f"({ADMIN}) or (role:reader and {OWNER})"
NOT_ALL = "(not field:rbac_policy:target_tenant=* and not field:rbac_policy:target_project=*)"

# Base rules of Neutron, which its other rules and operators' policy files use.
BASE = {
    "context_is_admin": "role:admin",
    "context_with_global_access": "!",
    "service_api": "role:service",
    "owner": OWNER,
    "admin_or_owner": "rule:context_is_admin or rule:owner",
    "context_is_advsvc": "role:advsvc",
    "admin_or_network_owner": "rule:context_is_admin or project_id:%(network:project_id)s",
    "admin_owner_or_network_owner": "rule:owner or rule:admin_or_network_owner",
    "network_owner": "project_id:%(network:project_id)s",
    "admin_only": "rule:context_is_admin",
    "regular_user": "",
    "shared": "field:networks:shared=True",
    "default": "rule:admin_or_owner",
    "admin_or_ext_parent_owner": "rule:context_is_admin or project_id:%(ext_parent:project_id)s",
    "ext_parent_owner": "project_id:%(ext_parent:project_id)s",
    "sg_owner": "project_id:%(security_group:project_id)s",
    "external": "field:networks:router:external=True",
    "network_device": "field:port:device_owner=~^network:",
    "admin_or_data_plane_int": "rule:context_is_admin or role:data_plane_integrator",
    "external_network": "field:subnets:router:external=True",
    "shared_subnetpools": "field:subnetpools:shared=True",
    "shared_address_scopes": "field:address_scopes:shared=True",
    "shared_qos_policy": "field:policies:shared=True",
    "restrict_wildcard": f"{NOT_ALL} or rule:admin_only",
}

NETWORKS = {
    "create_network": MEMBER,
    "create_network:shared": ADMIN,
    "create_network:router:external": ADMIN,
    "create_network:is_default": ADMIN,
    "create_network:port_security_enabled": MEMBER,
    "create_network:provider:network_type": ADMIN,
    "create_network:provider:physical_network": ADMIN,
    "create_network:provider:segmentation_id": ADMIN,
    "get_network": f"{READER} or {SERVICE} or rule:shared or rule:external or rule:context_is_advsvc",
    "get_network:provider:network_type": ADMIN,
    "get_network:provider:physical_network": ADMIN,
    "get_network:provider:segmentation_id": ADMIN,
    "get_network:tags": f"{READER} or rule:shared or rule:external or rule:context_is_advsvc",
    "update_network": MEMBER,
    "update_network:shared": ADMIN,
    "update_network:router:external": ADMIN,
    "update_network:is_default": ADMIN,
    "update_network:port_security_enabled": MEMBER,
    "create_network:tags": MEMBER,
    "update_network:tags": MEMBER,
    "delete_network": MEMBER,
    "delete_network:tags": MEMBER,
}

_ON_NETWORK = "role:member and rule:network_owner"
ADMIN_OR_SERVICE = f"({ADMIN}) or ({SERVICE})"
NETWORK_MEMBER = f"({ADMIN}) or (role:member and rule:network_owner)"
PORT_MEMBER = f"{ADMIN_OR_SERVICE} or {_ON_NETWORK}"
PAIRS = f"{NETWORK_MEMBER} or {SERVICE}"
PORTS = {
    "create_port": f"{PORT_MEMBER} or rule:shared",
    "create_port:mac_address": PORT_MEMBER,
    "create_port:fixed_ips": f"{PORT_MEMBER} or rule:shared",
    "create_port:fixed_ips:ip_address": PORT_MEMBER,
    "create_port:fixed_ips:subnet_id": f"{PORT_MEMBER} or rule:shared",
    "create_port:device_id": f"{MEMBER} or {SERVICE}",
    "create_port:device_owner": f"not rule:network_device or {PORT_MEMBER}",
    "create_port:binding:host_id": ADMIN_OR_SERVICE,
    "create_port:binding:profile": SERVICE,
    "create_port:binding:vnic_type": f"{MEMBER} or {SERVICE}",
    "create_port:port_security_enabled": PORT_MEMBER,
    "create_port:allowed_address_pairs": PAIRS,
    "create_port:allowed_address_pairs:ip_address": PAIRS,
    "create_port:allowed_address_pairs:mac_address": PAIRS,
    "get_port": f"{ADMIN_OR_SERVICE} or role:reader and rule:network_owner or role:reader and {OWNER}",
    "get_port:binding:host_id": ADMIN_OR_SERVICE,
    "get_port:binding:profile": ADMIN_OR_SERVICE,
    "get_port:binding:vif_type": ADMIN_OR_SERVICE,
    "get_port:binding:vif_details": ADMIN_OR_SERVICE,
    "get_port:tags": (
        f"rule:context_is_advsvc or ({ADMIN}) or (role:reader and rule:network_owner) or role:reader and {OWNER}"
    ),
    "update_port": f"{ADMIN_OR_SERVICE} or role:member and {OWNER}",
    "update_port:mac_address": f"{ADMIN_OR_SERVICE} or role:manager and rule:network_owner",
    "update_port:fixed_ips": PORT_MEMBER,
    "update_port:fixed_ips:ip_address": PORT_MEMBER,
    "update_port:fixed_ips:subnet_id": f"{PORT_MEMBER} or rule:shared",
    "update_port:device_id": f"{MEMBER} or {SERVICE}",
    "update_port:device_owner": f"not rule:network_device or {PORT_MEMBER}",
    "update_port:binding:host_id": ADMIN_OR_SERVICE,
    "update_port:binding:profile": SERVICE,
    "update_port:binding:vnic_type": f"{ADMIN_OR_SERVICE} or role:member and {OWNER}",
    "update_port:port_security_enabled": PORT_MEMBER,
    "update_port:allowed_address_pairs": PAIRS,
    "update_port:allowed_address_pairs:ip_address": PAIRS,
    "update_port:allowed_address_pairs:mac_address": PAIRS,
    "create_port:tags": f"{MEMBER} or rule:context_is_advsvc",
    "update_port:tags": f"{MEMBER} or rule:context_is_advsvc",
    "delete_port": f"{PORT_MEMBER} or role:member and {OWNER}",
    "delete_port:tags": f"rule:context_is_advsvc or role:member and {OWNER} or {NETWORK_MEMBER}",
}

_SUBNET_READER = (
    f"role:reader and {OWNER} or rule:shared or rule:external_network"
    f" or ({ADMIN}) or (role:reader and rule:network_owner)"
)
SUBNET_MEMBER = f"role:member and {OWNER} or {NETWORK_MEMBER}"
SUBNETS = {
    "create_subnet": NETWORK_MEMBER,
    "get_subnet": f"{_SUBNET_READER} or {SERVICE}",
    "get_subnet:tags": _SUBNET_READER,
    "update_subnet": SUBNET_MEMBER,
    "create_subnet:tags": SUBNET_MEMBER,
    "update_subnet:tags": SUBNET_MEMBER,
    "delete_subnet": SUBNET_MEMBER,
    "delete_subnet:tags": SUBNET_MEMBER,
}
POOLS = {
    "create_subnetpool": MEMBER,
    "create_subnetpool:shared": ADMIN,
    "create_subnetpool:is_default": ADMIN,
    "get_subnetpool": f"{READER} or rule:shared_subnetpools",
    "get_subnetpool:tags": f"{READER} or rule:shared_subnetpools",
    "update_subnetpool": MEMBER,
    "update_subnetpool:is_default": ADMIN,
    "create_subnetpool:tags": MEMBER,
    "update_subnetpool:tags": MEMBER,
    "delete_subnetpool": MEMBER,
    "delete_subnetpool:tags": MEMBER,
}
SCOPES = {
    "create_address_scope": MEMBER,
    "create_address_scope:shared": ADMIN,
    "get_address_scope": f"{ADMIN} or role:reader and {OWNER} or rule:shared_address_scopes",
    "update_address_scope": MEMBER,
    "update_address_scope:shared": ADMIN,
    "delete_address_scope": MEMBER,
}
SEGMENT_RANGES = {
    f"{action}_network_segment_range{part}": ADMIN
    for action in ("create", "get", "update", "delete")
    for part in ("", ":tags")
}
MANAGER = f"({ADMIN}) or (role:manager and {OWNER})"
_POLICY_READER = f"{READER} or rule:shared_qos_policy"
_RULE_READER = f"({ADMIN}) or (role:reader and rule:ext_parent_owner)"
_RULE_MANAGER = f"({ADMIN}) or (role:manager and rule:ext_parent_owner)"
_QOS_RULES = [f"policy_{kind}_rule" for kind in ("bandwidth_limit", "dscp_marking", "packet_rate_limit")]
_QOS_ALIASES = ["alias_bandwidth_limit_rule", "alias_dscp_marking_rule"]
QOS = {
    "create_policy": MANAGER,
    "create_policy:tags": MANAGER,
    "get_policy": _POLICY_READER,
    "get_policy:tags": _POLICY_READER,
    "update_policy": MANAGER,
    "update_policy:tags": MANAGER,
    "delete_policy": MANAGER,
    "delete_policy:tags": MANAGER,
    "get_rule_type": "role:reader",
    **{f"create_{rule}": _RULE_MANAGER for rule in _QOS_RULES},
    **{f"get_{rule}": _RULE_READER for rule in (*_QOS_RULES, *_QOS_ALIASES)},
    **{f"update_{rule}": _RULE_MANAGER for rule in (*_QOS_RULES, *_QOS_ALIASES)},
    **{f"delete_{rule}": _RULE_MANAGER for rule in (*_QOS_RULES, *_QOS_ALIASES)},
}
RBAC = {
    "create_rbac_policy": MEMBER,
    "create_rbac_policy:target_tenant": f"{ADMIN} or {NOT_ALL}",
    "get_rbac_policy": READER,
    "update_rbac_policy": MEMBER,
    "update_rbac_policy:target_tenant": f"{ADMIN} or {NOT_ALL}",
    "delete_rbac_policy": MEMBER,
}
OTHERS = {
    # Neutron's default, managers only, would make `openstack quota show` fail for all other users.
    "get_quota": READER,
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
    "get_network_ip_availability": ADMIN_OR_SERVICE,
}
POLICIES = ROUTER_POLICIES | BASE | NETWORKS | PORTS | SUBNETS | POOLS | SCOPES | SEGMENT_RANGES | QOS | RBAC | OTHERS


@policy.register("field")
class FieldCheck(policy.Check):
    """`field:networks:shared=True`, `field:port:device_owner=~^network:`: checks a field's value in the target."""

    def __call__(
        self, target: Mapping[str, Any], creds: MutableMapping[str, Any], enforcer: Any, current_rule: str | None = None
    ) -> bool:
        name, _, wanted = self.match.partition(":")[2].partition("=")
        found = target.get(name)
        if found is None or not wanted.startswith("~"):
            return found is not None and str(found) == wanted
        return re.match(wanted[1:], str(found)) is not None

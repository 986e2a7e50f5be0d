"""The policy rules of routers, floating IPs and port forwardings: Neutron's names and defaults."""

ADMIN = "rule:admin_only"
MEMBER = f"({ADMIN}) or (role:member and project_id:%(project_id)s)"
READER = f"({ADMIN}) or (role:reader and project_id:%(project_id)s)"
PARENT_MEMBER = f"({ADMIN}) or (role:member and rule:ext_parent_owner)"
PARENT_READER = f"({ADMIN}) or (role:reader and rule:ext_parent_owner)"

_ROUTERS = {
    f"{action}_router{attribute}": rule
    for action in ("create", "update")
    for attribute, rule in {
        "": MEMBER,
        ":distributed": ADMIN,
        ":ha": ADMIN,
        ":external_gateway_info": MEMBER,
        ":external_gateway_info:network_id": MEMBER,
        ":external_gateway_info:enable_snat": ADMIN,
        ":external_gateway_info:external_fixed_ips": ADMIN,
        ":tags": MEMBER,
    }.items()
}
_OTHERS = {
    "get_router": READER,
    "get_router:distributed": ADMIN,
    "get_router:ha": ADMIN,
    "get_router:tags": READER,
    "delete_router": MEMBER,
    "delete_router:tags": MEMBER,
    "add_router_interface": MEMBER,
    "remove_router_interface": MEMBER,
    "add_extraroutes": MEMBER,
    "remove_extraroutes": MEMBER,
    "create_floatingip": MEMBER,
    "create_floatingip:floating_ip_address": f"({ADMIN}) or (role:manager and project_id:%(project_id)s)",
    "create_floatingip:tags": MEMBER,
    "get_floatingip": READER,
    "get_floatingip_pool": READER,
    "get_floatingip:tags": READER,
    "update_floatingip": MEMBER,
    "update_floatingip:tags": MEMBER,
    "delete_floatingip": MEMBER,
    "delete_floatingip:tags": MEMBER,
    "create_floatingip_port_forwarding": PARENT_MEMBER,
    "get_floatingip_port_forwarding": PARENT_READER,
    "update_floatingip_port_forwarding": PARENT_MEMBER,
    "delete_floatingip_port_forwarding": PARENT_MEMBER,
}
ROUTER_POLICIES = _ROUTERS | _OTHERS

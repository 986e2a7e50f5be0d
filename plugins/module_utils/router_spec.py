# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of routers."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.spec import list_of, option, state, strings

ROUTERS = list_of(
    "The routers to converge.",
    id=option("UUID of the router.", required=True),
    state=state("Whether the router is on this host."),
    admin_state_up=option("The administrative state: whether the router forwards packets.", "bool", default=True),
    interfaces=list_of(
        "All interfaces of the router. Their ports have V(veth) as C(device) in C(networks).",
        port_id=option("UUID of the port.", required=True),
        mac=option("MAC address of the port.", required=True),
        mtu=option("MTU of the port's network.", "int", default=1450),
        addresses=strings("Its addresses with prefix lengths, such as V(10.0.0.1/24)."),
        external=option("Whether it is the interface to the external network; at most one is.", "bool", default=False),
    ),
    gateways=strings(
        "Next hops of the default routes, in the external network. The first of each IP version is preferred."
    ),
    enable_snat=option(
        "Whether connections to the external network get C(snat_address) as their source.",
        "bool",
        default=True,
    ),
    snat_address=option("The IPv4 address of the external interface that internal addresses are translated to."),
    routes=list_of(
        "Extra routes.",
        destination=option("The destination network.", required=True),
        nexthop=option("The next hop, an address in a network of the router.", required=True),
    ),
    floating_ips=list_of(
        "Floating IPs that are translated to one fixed address each, in both directions.",
        id=option("UUID of the floating IP.", required=True),
        floating_ip_address=option("The floating IP address.", required=True),
        fixed_ip_address=option("The fixed address.", required=True),
    ),
    port_forwardings=list_of(
        "Ports of floating IPs that are forwarded.",
        id=option("UUID of the port forwarding.", required=True),
        floating_ip_address=option("The floating IP address.", required=True),
        protocol=option("The protocol.", choices=["tcp", "udp"], required=True),
        external_port_min=option("The first port of the floating IP.", "int", required=True),
        external_port_max=option("The last port of the floating IP.", "int", required=True),
        internal_ip_address=option("The address to forward to.", required=True),
        internal_port_min=option("The first port to forward to.", "int", required=True),
        internal_port_max=option(
            "The last port to forward to: the internal range is as long as the external one, or a single port.",
            "int",
            required=True,
        ),
    ),
)

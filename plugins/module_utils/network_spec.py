# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of tenant networks, which their switches' ports and their DHCP servers share."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.spec import dict_of, list_of, option, state, strings

DIRECTION = option("The direction, seen from the server.", choices=["ingress", "egress"], default="egress")
QOS = dict_of(
    "The limits and marks of what the server sends and gets; without this option it has none.",
    bandwidth_limits=list_of(
        "Limits of bits, at most one in each direction.",
        direction=DIRECTION,
        max_kbps=option("Kilobits in a second, with the headers of Ethernet; 0 is no limit.", "int", required=True),
        max_burst_kbps=option(
            "Kilobits that pass at once, at least two frames; 0 is 80 % of C(max_kbps).", "int", default=0
        ),
    ),
    packet_rate_limits=list_of(
        "Limits of packets, at most one in each direction.",
        direction=DIRECTION,
        max_kpps=option("Thousands of packets in a second; 0 is no limit.", "int", required=True),
        max_burst_kpps=option("Thousands of packets that pass at once; 0 is 80 % of C(max_kpps).", "int", default=0),
    ),
    dscp_mark=option("The differentiated services code point of IP packets that the server sends.", "int"),
)
NETWORKS = list_of(
    "The networks to converge.",
    id=option("UUID of the network.", required=True),
    state=state("Whether the network is present on this host; V(absent) removes its ports, tunnels and DHCP server."),
    type=option("The type of the network.", choices=["vxlan", "gre", "vlan", "flat", "local"], default="vxlan"),
    segmentation_id=option(
        "VXLAN network identifier (VNI), GRE key or VLAN id; none with V(flat) and V(local).", "int"
    ),
    physical_network=option("The name of the physical network, with V(vlan) and V(flat)."),
    mtu=option("MTU of the network, which DHCP announces to guests.", "int", default=1450),
    peers=strings("Tunnel addresses of the other hosts of the network; those that exist already are kept."),
    former_peers=strings("Tunnel addresses that belong to no host of the network any more."),
    ports=list_of(
        "Ports of servers and routers on this host. Ports that are not listed stay.",
        id=option("UUID of the port.", required=True),
        state=state("Whether the port exists."),
        device=option(
            "The port's device. V(tap) is for a server; the other end of V(veth) is for a router on this host.",
            choices=["tap", "veth"],
            default="tap",
        ),
        mac=option("MAC address of the port."),
        admin_state_up=option("The administrative state: whether frames pass.", "bool", default=True),
        port_security_enabled=option(
            "Whether frames with other source addresses than the port's are dropped.", "bool", default=False
        ),
        addresses=strings("The port's addresses."),
        allowed_address_pairs=list_of(
            "Other source addresses that the port may use.",
            mac_address=option("MAC address; the default is the port's."),
            ip_address=option("IP address or network.", required=True),
        ),
        security_groups=option(
            [
                "UUIDs of the security groups of a port with port security, which the host needs, too.",
                "With none, only DHCP, ARP and neighbour discovery pass. Without this option, nothing else is dropped.",
            ],
            "list",
            elements="str",
        ),
        stateful=option(
            "Whether replies to what the security groups allow pass, too; for that, connections are tracked.",
            "bool",
            default=True,
        ),
        qos=QOS,
    ),
    dhcp=dict_of(
        "The DHCP server, on the host that serves the network. Without this option, an existing server stays.",
        state=state("Whether the network has a DHCP server on this host."),
        mac=option("MAC address of the server's port."),
        dns_domain=option("The DNS domain of the guests.", default="skywright.internal"),
        metadata=dict_of(
            "The metadata proxy, which answers servers at V(169.254.169.254). Without it, the network has none.",
            api_url=option("The URL below which the API answers for the metadata service.", required=True),
            signature=option("The secret by which the API recognizes the network's proxy.", required=True),
        ),
        subnets=list_of(
            "All subnets with DHCP.",
            id=option("UUID of the subnet.", required=True),
            cidr=option("The subnet.", required=True),
            address=option("The address of the server.", required=True),
            gateway_ip=option("The router that the server announces."),
            dns_nameservers=strings("Name servers that the server announces. The default is the server itself."),
            host_routes=list_of(
                "Routes that the server announces.",
                destination=option("The destination network.", required=True),
                nexthop=option("The address of the next hop.", required=True),
            ),
        ),
        hosts=list_of(
            "Ports that get an address. Ports that are not listed stay.",
            id=option("UUID of the port.", required=True),
            state=state("Whether the port gets an address."),
            mac=option("MAC address of the port."),
            hostname=option("Host name of the guest, which DHCP announces."),
            addresses=strings("Its addresses."),
            names=list_of(
                "Names of the port's addresses, which DNS resolves.",
                address=option("The address.", required=True),
                names=strings("Its names, of which the first is the answer to a reverse query."),
            ),
            options=list_of(
                "DHCP options of the port, which replace those of its subnet.",
                name=option("Name of the option as dnsmasq's, or its code.", required=True),
                value=option("Value of the option, as in dnsmasq's configuration; empty: it is not sent.", default=""),
            ),
        ),
    ),
)

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network, as the modules that converge networks read it."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment C(skywright.cloud.networks)."""

    DOCUMENTATION = r"""
options:
  networks:
    description: The networks to converge.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: UUID of the network.
        type: str
        required: true
      state:
        description: Whether the network shall be on this host; V(absent) removes its ports, tunnels and DHCP server.
        type: str
        choices: [present, absent]
        default: present
      type:
        description: How hosts are joined.
        type: str
        choices: [vxlan, vlan, flat]
        default: vxlan
      segmentation_id:
        description: The VXLAN network identifier or the VLAN id; not for V(flat).
        type: int
      physical_network:
        description: The physical network's name, for V(vlan) and V(flat).
        type: str
      mtu:
        description: MTU of the network, told to the guests.
        type: int
        default: 1450
      peers:
        description: Tunnel addresses of the other hosts of the network; those that exist already are kept.
        type: list
        elements: str
        default: []
      former_peers:
        description: Tunnel addresses that belong to no host of the network any more.
        type: list
        elements: str
        default: []
      ports:
        description: Ports of servers on this host; those not listed are kept.
        type: list
        elements: dict
        default: []
        suboptions:
          id:
            description: UUID of the port.
            type: str
            required: true
          state:
            description: Whether the port shall exist.
            type: str
            choices: [present, absent]
            default: present
          mac:
            description: MAC address of the port.
            type: str
      dhcp:
        description: The DHCP server, on the host that serves the network; without it an existing one is left alone.
        type: dict
        suboptions:
          state:
            description: Whether the network shall have a DHCP server here.
            type: str
            choices: [present, absent]
            default: present
          mac:
            description: MAC address of the server's port.
            type: str
          dns_domain:
            description: The guests' domain.
            type: str
            default: skywright.internal
          subnets:
            description: All subnets that are served.
            type: list
            elements: dict
            default: []
            suboptions:
              id:
                description: UUID of the subnet.
                type: str
                required: true
              cidr:
                description: The subnet.
                type: str
                required: true
              address:
                description: The server's own address.
                type: str
                required: true
              gateway_ip:
                description: The router that is told to guests.
                type: str
              dns_nameservers:
                description: Name servers that are told to guests; without any it is this server.
                type: list
                elements: str
                default: []
              host_routes:
                description: Routes that are told to guests.
                type: list
                elements: dict
                default: []
                suboptions:
                  destination:
                    description: The network.
                    type: str
                    required: true
                  nexthop:
                    description: Its router.
                    type: str
                    required: true
          hosts:
            description: Ports that get an address; those not listed are kept.
            type: list
            elements: dict
            default: []
            suboptions:
              id:
                description: UUID of the port.
                type: str
                required: true
              state:
                description: Whether the port gets an address.
                type: str
                choices: [present, absent]
                default: present
              mac:
                description: MAC address of the port.
                type: str
              hostname:
                description: Name that is told to the guest and served by DNS.
                type: str
              addresses:
                description: Its addresses.
                type: list
                elements: str
                default: []
"""

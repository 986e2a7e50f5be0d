# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Declared networks with the addresses of their ports. See plugins/filter/cloud.py."""

from __future__ import annotations

import hashlib
import ipaddress

from ansible.errors import AnsibleFilterError
from ansible_collections.skywright.cloud.plugins.plugin_utils.cloud_ids import cloud_id


class Network:
    """A declared network with the addresses of its ports."""

    def __init__(self, declared, dhcp_host):
        self.declared = declared
        self.name = declared["name"]
        self.id = cloud_id("network", self.name)
        self.present = declared.get("state", "present") == "present"
        self.cidr = ipaddress.ip_network(declared["cidr"]) if self.present else None
        self.mtu = declared.get("mtu", 1450)
        self.domain = declared.get("dns_domain", "skywright.internal")
        self.external = declared.get("external", False)
        self.dhcp_host = None if self.external else declared.get("dhcp_host", dhcp_host)
        self.router = None
        self.addresses = {}

    @property
    def dhcp_address(self):
        """The DHCP server's address, the second of the network; the first is the router's."""
        return None if self.external else self.cidr[2]

    @property
    def gateway(self):
        """The declared gateway, or a router of the network, or None."""
        return self.declared.get("gateway", self.router)

    def reserve(self, port_id, wanted, is_gateway=False):
        """Assign an address to a port: the wanted one, or a free one by its id and the ports before it.

        Only the gateway's port may have the network's first address, or the declared one of the gateway.
        """
        taken = {*self.addresses.values(), self.cidr[0], self.dhcp_address, self.cidr[-1]}
        if not is_gateway:
            taken |= {self.cidr[1], ipaddress.ip_address(self.gateway or self.cidr[1])}
        if wanted:
            address = ipaddress.ip_address(wanted)
            if address in taken or address not in self.cidr:
                raise AnsibleFilterError(f"address {address} is in use in, or not part of, network {self.name}")
        else:
            address = self._free(port_id, taken)
        self.addresses[port_id] = address

    def _free(self, port_id, taken):
        size = min(self.cidr.num_addresses, 2**16)
        start = int(hashlib.sha256(port_id.encode()).hexdigest(), 16)
        for step in range(size):
            address = self.cidr[(start + step) % size]
            if address not in taken:
                return address
        raise AnsibleFilterError(f"network {self.name} has no free address")

    def subnet(self):
        """Return the subnet of a declared network."""
        return {
            "id": cloud_id("subnet", self.name),
            "cidr": str(self.cidr),
            "address": str(self.dhcp_address),
            "gateway_ip": self.gateway,
            "dns_nameservers": self.declared.get("dns_nameservers", []),
            "host_routes": self.declared.get("host_routes", []),
        }

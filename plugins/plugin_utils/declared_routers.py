# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converts declared routers, which have names, into items with ids. See plugins/filter/cloud.py."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.skywright.cloud.plugins.plugin_utils.cloud_ids import cloud_id, cloud_mac


class RouterPort:
    """The port of a router in a network; C(declared) is the entry of the router that names the network."""

    def __init__(self, router, network, declared, external):
        self.id = cloud_id("router port", router, network.name)
        self.mac = cloud_mac(self.id)
        self.network = network
        self.external = external
        self.is_gateway = not external
        self.address = declared.get("address", None if external else str(network.cidr[1]))
        if self.is_gateway and network.router is None:
            network.router = self.address

    def interface(self):
        """Return the interface of the router."""
        return {
            "port_id": self.id,
            "mac": self.mac,
            "mtu": self.network.mtu,
            "addresses": [f"{self.network.addresses[self.id]}/{self.network.cidr.prefixlen}"],
            "external": self.external,
        }


class Router:
    """A declared router. It is on one host of the group networks."""

    def __init__(self, declared, networks, servers, host):
        self.declared = declared
        self.name = declared["name"]
        self.id = cloud_id("router", self.name)
        self.present = declared.get("state", "present") == "present"
        self.host = declared.get("host", host)
        self.servers = servers
        outside = declared.get("external_network")
        entries = [(outside, True)] if outside else []
        entries += [(entry, False) for entry in declared.get("networks", [])]
        self.ports = [self._port(networks, entry, external) for entry, external in entries if self.present]

    def _port(self, networks, entry, external):
        wanted = {"name": entry} if isinstance(entry, str) else entry
        network = networks.get(wanted["name"])
        if network is None or not network.present:
            raise AnsibleFilterError(f"router {self.name} needs a network that is not present: {wanted['name']}")
        if external != network.external:
            kind = "is not" if external else "is"
            raise AnsibleFilterError(f"router {self.name} cannot use network {network.name}, which {kind} external")
        return RouterPort(self.name, network, wanted, external)

    @property
    def outside(self):
        """The port in the external network, or None."""
        return self.ports[0] if self.ports and self.ports[0].external else None

    def reserve_floating_ips(self):
        """Reserve the addresses of the floating IPs."""
        entries = [*self.declared.get("floating_ips", []), *self.declared.get("port_forwardings", [])]
        for address in sorted({entry["address"] for entry in entries if self.present}):
            if self.outside is None:
                raise AnsibleFilterError(f"router {self.name} has floating IPs, but no external network")
            self.outside.network.reserve(cloud_id("floating ip", self.name, address), address)

    def port_item(self, network, host):
        """Return the router's port as a part of a network's item; it is absent where the router is not."""
        port_id = cloud_id("router port", self.name, network.name)
        there = self.host == host and any(port.network is network for port in self.ports)
        state = "present" if there else "absent"
        return {"id": port_id, "mac": cloud_mac(port_id), "device": "veth", "state": state}

    def item(self, host):
        """Return the item for the role router."""
        if not self.present or host != self.host:
            return {"id": self.id, "state": "absent"}
        outside = self.outside
        gateway = outside.network.declared.get("gateway") if outside else None
        return {
            "id": self.id,
            "state": "present",
            "admin_state_up": self.declared.get("admin_state_up", True),
            "interfaces": [port.interface() for port in self.ports],
            "gateways": [gateway] if gateway else [],
            "enable_snat": self.declared.get("enable_snat", True),
            "snat_address": str(outside.network.addresses[outside.id]) if outside else None,
            "routes": self.declared.get("routes", []),
            "floating_ips": [self._floating_ip(entry) for entry in self.declared.get("floating_ips", [])],
            "port_forwardings": [self._forwarding(entry) for entry in self.declared.get("port_forwardings", [])],
        }

    def _floating_ip(self, entry):
        return {
            "id": cloud_id("floating ip", self.name, entry["address"]),
            "floating_ip_address": entry["address"],
            "fixed_ip_address": self._fixed_address(entry),
        }

    def _forwarding(self, entry):
        outer, inner = (
            [int(port) for port in str(entry[f"{side}_port"]).split("-")] for side in ("external", "internal")
        )
        return {
            "id": cloud_id("port forwarding", self.name, entry["address"], entry["protocol"], str(outer[0])),
            "floating_ip_address": entry["address"],
            "protocol": entry["protocol"],
            "external_port_min": outer[0],
            "external_port_max": outer[-1],
            "internal_ip_address": self._fixed_address(entry),
            "internal_port_min": inner[0],
            "internal_port_max": inner[-1],
        }

    def _fixed_address(self, entry):
        """Return the address of a server in the network of the entry, or in its first network of the router."""
        inside = [port.network for port in self.ports if port.is_gateway]
        server = self.servers.get(entry["server"])
        for port in server.ports if server else []:
            if port.network in inside and entry.get("network") in {None, port.network.name}:
                return str(port.network.addresses[port.id])
        raise AnsibleFilterError(
            f"no network of router {self.name} has the server {entry['server']} of {entry['address']}"
        )

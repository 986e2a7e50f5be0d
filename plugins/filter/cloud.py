# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Converts a declared cloud, which has names, into the items of the roles, which have ids.

Ids and addresses are derived from names, so a declaration gives the same items on every machine and in every run.
"""

from __future__ import annotations

import base64

from ansible.errors import AnsibleFilterError
from ansible_collections.skywright.cloud.plugins.plugin_utils.cloud_groups import SecurityGroups
from ansible_collections.skywright.cloud.plugins.plugin_utils.cloud_ids import cloud_id, cloud_mac
from ansible_collections.skywright.cloud.plugins.plugin_utils.declared_networks import Network
from ansible_collections.skywright.cloud.plugins.plugin_utils.declared_routers import Router


def cloud_items(declared, tunnels, dhcp_host):
    """Convert {security_groups, networks, routers, images, servers} into the same lists for each host: {host: lists}.

    C(tunnels) is {host: tunnel address} of all hosts of the cloud; C(dhcp_host) serves DHCP and has the routers where
    they do not name another host.
    """
    cloud = Cloud(declared, tunnels, dhcp_host)
    return {
        host: {
            "security_groups": cloud.security_groups(host),
            "networks": cloud.networks(host),
            "routers": [router.item(host) for router in cloud.routers],
            "images": cloud.images(host),
            "servers": cloud.servers_of(host),
        }
        for host in tunnels
    }


def uploaded(images, directory):
    """Replace the path of each image that is a file of the controller by the URL of its copy on the host."""
    items = []
    for image in images:
        item = {key: value for key, value in image.items() if key != "path"}
        items.append({**item, "url": f"file://{directory}/{image['id']}"} if "path" in image else item)
    return items


class Port:
    """A port of a declared server; C(declared) is an entry of its networks."""

    is_gateway = False

    def __init__(self, server, network, declared):
        self.network = network
        self.id = cloud_id("port", server, network.name)
        self.mac = cloud_mac(self.id)
        self.declared = declared
        self.address = declared.get("address")

    @property
    def groups(self):
        """The names of its security groups, or None."""
        return self.declared.get("security_groups")

    @property
    def pairs(self):
        """Its allowed address pairs."""
        return self.declared.get("allowed_address_pairs", [])

    def members(self):
        """Return the addresses by which it is a member of its security groups."""
        return {str(self.network.addresses[self.id]), *(pair["ip_address"] for pair in self.pairs)}

    def item(self, present, groups):
        """Return the port as a part of its network's item; C(groups) are the UUIDs of its security groups."""
        if not present:
            return {"id": self.id, "mac": self.mac, "state": "absent"}
        return {
            "id": self.id,
            "mac": self.mac,
            "state": "present",
            "port_security_enabled": self.declared.get("port_security_enabled", True),
            "addresses": [str(self.network.addresses[self.id])],
            "allowed_address_pairs": self.pairs,
            "security_groups": groups,
            "qos": self.declared.get("qos"),
            "stateful": self.declared.get("stateful", True),
        }

    def names(self, hostname):
        """Return the names of the port's address in DNS."""
        return {
            "address": str(self.network.addresses[self.id]),
            "names": [f"{hostname}.{self.network.domain}", hostname],
        }


class Server:
    """A declared server with its ports."""

    def __init__(self, declared, networks):
        self.declared = declared
        self.name = declared["name"]
        self.id = cloud_id("server", self.name)
        self.present = declared.get("state", "present") == "present"
        self.host = declared["host"]
        self.ports = []
        for entry in declared.get("networks", []):
            wanted = {"name": entry} if isinstance(entry, str) else entry
            if wanted["name"] not in networks:
                raise AnsibleFilterError(f"server {self.name} is in network {wanted['name']}, which is not declared")
            self.ports.append(Port(self.name, networks[wanted["name"]], wanted))

    def item(self):
        """Return the item for the role server."""
        if not self.present:
            return {"id": self.id, "state": "absent"}
        return {
            "id": self.id,
            "state": "present",
            "name": self.name,
            "power": self.declared.get("power", "running"),
            "boot_id": cloud_id("boot", self.name, str(self.declared.get("boot", ""))),
            "reboot": self.declared.get("reboot", "hard"),
            "vcpus": self.declared.get("vcpus", 1),
            "memory_mib": self.declared.get("memory_mib", 128),
            "image_id": cloud_id("image", self.declared["image"]),
            "disk_gib": self.declared.get("disk_gib", 1),
            "ports": [{"id": port.id, "mac": port.mac, "mtu": port.network.mtu} for port in self.ports],
            "config_drive": {
                "meta_data": self._meta_data(),
                "network_data": self._network_data(),
                "user_data": self._user_data(),
            },
        }

    def _meta_data(self):
        keys = self.declared.get("ssh_keys", [])
        return {
            "uuid": self.id,
            "name": self.name,
            "hostname": self.name,
            "public_keys": {f"key-{number}": key for number, key in enumerate(keys)},
        }

    def _network_data(self):
        links = [
            {
                "id": "tap" + port.id[:11],
                "vif_id": port.id,
                "type": "ovs",
                "mtu": None,  # by DHCP
                "ethernet_mac_address": port.mac,
            }
            for port in self.ports
        ]
        networks = [
            {"id": f"network{number}", "type": "ipv4_dhcp", "link": "tap" + port.id[:11], "network_id": port.network.id}
            for number, port in enumerate(self.ports)
        ]
        return {"links": links, "networks": networks, "services": []}

    def _user_data(self):
        text = self.declared.get("user_data")
        return None if text is None else base64.b64encode(text.encode()).decode()


class Cloud:
    """A declared cloud, seen from each of its hosts."""

    def __init__(self, declared, tunnels, dhcp_host):
        self.tunnels = tunnels
        self.declared_images = declared.get("images", [])
        self.groups = SecurityGroups(declared.get("security_groups", []), lambda name: cloud_id("security group", name))
        self.by_name = {entry["name"]: Network(entry, dhcp_host) for entry in declared.get("networks", [])}
        self.servers = [Server(entry, self.by_name) for entry in declared.get("servers", [])]
        present = {server.name: server for server in self.servers if server.present}
        self.routers = [Router(entry, self.by_name, present, dhcp_host) for entry in declared.get("routers", [])]
        self._check()
        self._assign()

    def _check(self):
        for router in self.routers:
            if router.host not in self.tunnels:
                raise AnsibleFilterError(f"router {router.name} is on {router.host}, which is not a host of the cloud")
        images = {image["name"] for image in self.declared_images if image.get("state") != "absent"}
        for server in self.servers:
            if server.host not in self.tunnels:
                raise AnsibleFilterError(f"server {server.name} is on {server.host}, which is not a host of the cloud")
            if server.present and server.declared["image"] not in images:
                raise AnsibleFilterError(f"server {server.name} needs an image that is not declared")
            for port in server.ports if server.present else ():
                self.groups.ids(port.groups, f"server {server.name}")
                if not port.network.present:
                    raise AnsibleFilterError(f"server {server.name} is in network {port.network.name}, which is absent")

    def _assign(self):
        for router in self.routers:
            router.reserve_floating_ips()
        ports = [port for one in (*self.servers, *self.routers) if one.present for port in one.ports]
        for port in sorted(ports, key=lambda port: port.address is None):
            port.network.reserve(port.id, port.address, port.is_gateway)

    def security_groups(self, host):
        """Return the security groups of a host: those of its ports, and those that their rules name."""
        used, members = set(), {}
        for server in self.servers:
            for port in server.ports if server.present else ():
                for name in port.groups or ():
                    members.setdefault(name, set()).update(port.members())
                    used |= {name} if server.host == host else set()
        return self.groups.items(used, members)

    def images(self, host):
        """Return the images that servers of a host need, and all absent images."""
        used = {server.declared["image"] for server in self.servers if server.present and server.host == host}
        items = []
        for image in self.declared_images:
            item = {"id": cloud_id("image", image["name"]), "state": image.get("state", "present")}
            if item["state"] == "absent":
                items.append(item)
            elif image["name"] in used:
                source = {key: image[key] for key in ("url", "path", "checksum", "disk_format") if key in image}
                items.append({**item, **source})
        return items

    def servers_of(self, host):
        """Return the servers of a host."""
        return [server.item() for server in self.servers if server.host == host]

    def networks(self, host):
        """Return the networks of a host. A network that no server of the host uses is absent there."""
        return [self._network(network, host) for network in self.by_name.values()]

    def _members(self, network):
        hosts = {server.host for server in self.servers if server.present and self._ports(server, network)}
        hosts |= {router.host for router in self.routers if any(port.network is network for port in router.ports)}
        return sorted(hosts | ({network.dhcp_host} - {None}))

    @staticmethod
    def _ports(server, network):
        return [port for port in server.ports if port.network is network]

    def _network(self, network, host):
        members = self._members(network) if network.present else []
        if host not in members:
            return {"id": network.id, "state": "absent"}
        here = [server for server in self.servers if server.host == host]
        ports = [self._port(server, port) for server in here for port in self._ports(server, network)]
        return {
            "id": network.id,
            "state": "present",
            "type": network.declared.get("type", "vxlan"),
            "segmentation_id": network.declared.get("segmentation_id"),
            "physical_network": network.declared.get("physical_network"),
            "mtu": network.mtu,
            "peers": [self.tunnels[member] for member in members if member != host],
            "ports": ports + [router.port_item(network, host) for router in self.routers],
            "dhcp": self._dhcp(network) if host == network.dhcp_host else None,
        }

    def _port(self, server, port):
        groups = self.groups.ids(port.groups, f"server {server.name}") if server.present else None
        return port.item(server.present, groups)

    def _dhcp(self, network):
        return {
            "state": "present",
            "mac": cloud_mac(cloud_id("port", "dhcp", network.name)),
            "dns_domain": network.domain,
            "subnets": [network.subnet()],
            "hosts": [self._host(server, port) for server in self.servers for port in self._ports(server, network)],
        }

    @staticmethod
    def _host(server, port):
        if not server.present:
            return {"id": port.id, "state": "absent"}
        return {
            "id": port.id,
            "state": "present",
            "mac": port.mac,
            "hostname": server.name,
            "addresses": [str(port.network.addresses[port.id])],
            "names": [port.names(server.name)],
            "options": port.declared.get("dhcp_options", []),
        }


class FilterModule:
    """The filters of playbooks/cloud.yml."""

    def filters(self):
        """Return the filters."""
        return {"cloud_items": cloud_items, "uploaded": uploaded}

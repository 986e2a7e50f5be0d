"""What a server's config drive says: OpenStack's meta_data.json, network_data.json and user data.

It depends on nothing but the database, so rendering it twice gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import netaddr
from sqlalchemy.orm import object_session

from skywright.services.compute.tables import Server
from skywright.services.network.internal import Network, Port, Subnet


def config_drive(server: Server, ports: Sequence[Port], networks: Mapping[str, Network]) -> dict[str, Any]:
    """The item's `config_drive`."""
    return {
        "meta_data": meta_data(server),
        "network_data": network_data(ports, networks),
        "user_data": server.user_data,
    }


def meta_data(server: Server) -> dict[str, Any]:
    """meta_data.json, as Nova's, but without a random seed: that would differ each time."""
    data: dict[str, Any] = {
        "uuid": server.id,
        "name": server.name,
        "hostname": server.hostname,
        "launch_index": server.launch_index,
        "availability_zone": server.availability_zone or "nova",
        "project_id": server.project_id,
        "meta": dict(server.properties),
        "devices": [],
    }
    if server.public_key is not None:
        data["public_keys"] = {server.key_name: server.public_key}
        data["keys"] = [{"name": server.key_name, "type": "ssh", "data": server.public_key}]
    if server.admin_pass is not None:
        data["admin_pass"] = server.admin_pass
    return data


def network_data(ports: Sequence[Port], networks: Mapping[str, Network]) -> dict[str, Any]:
    """network_data.json: a link for each port, a network for each of its addresses, the name servers."""
    links: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    servers: list[str] = []
    for port in ports:
        network = networks[port.network_id]
        link = f"tap{port.id[:11]}"
        links.append(
            {
                "id": link,
                "vif_id": port.id,
                "type": "ovs",
                "mtu": network.mtu,
                "ethernet_mac_address": port.mac_address,
            }
        )
        session = object_session(port)
        for address in port.addresses:
            subnet = session.get(Subnet, address.subnet_id) if session else None
            if subnet is None:
                continue
            entries.append(_network(len(entries), link, network, subnet, address.ip_address))
            servers += [name for name in subnet.dns_nameservers if name not in servers]
    services = [{"type": "dns", "address": server} for server in servers]
    return {"links": links, "networks": entries, "services": services}


def _network(index: int, link: str, network: Network, subnet: Subnet, ip: str) -> dict[str, Any]:
    """One address: by DHCP where the subnet has it, else as it is."""
    kind = f"ipv{subnet.ip_version}"
    entry: dict[str, Any] = {"id": f"network{index}", "link": link, "network_id": network.id}
    if subnet.enable_dhcp and subnet.ip_version == 4:
        return entry | {"type": f"{kind}_dhcp"}
    any_address = "0.0.0.0" if subnet.ip_version == 4 else "::"
    routes = [_route(route["destination"], route["nexthop"]) for route in subnet.host_routes]
    if subnet.gateway_ip:
        routes.append({"network": any_address, "netmask": any_address, "gateway": subnet.gateway_ip})
    netmask = str(netaddr.IPNetwork(subnet.cidr).netmask)
    dns = [{"type": "dns", "address": server} for server in subnet.dns_nameservers]
    return entry | {"type": kind, "ip_address": ip, "netmask": netmask, "routes": routes, "services": dns}


def _route(destination: str, gateway: str) -> dict[str, str]:
    network = netaddr.IPNetwork(destination)
    return {"network": str(network.network), "netmask": str(network.netmask), "gateway": gateway}

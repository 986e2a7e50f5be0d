"""What a server's config drive says: OpenStack's meta_data.json, network_data.json and user data.

As in Nova it is written when the server is made. What changes later, such as metadata or a network's name, reaches it
only by a hard reboot (Nova's guests would ask the metadata service). `Server.drive` keeps what was written, so that all
other jobs, and comparisons with the host, say the same again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import netaddr
from sqlalchemy.orm import object_session

from skywright.services.compute.tables import Server
from skywright.services.network.internal import Network, Port, Subnet


def config_drive(server: Server, ports: Sequence[Port], networks: Mapping[str, Network]) -> dict[str, Any]:
    """The item's `config_drive`: as it is being written, as it was written last, or as it would be now."""
    drive = server.next_drive or server.drive or render(server, ports, networks)
    secret = {} if server.admin_pass is None else {"admin_pass": server.admin_pass}
    return drive | {"meta_data": drive["meta_data"] | secret, "user_data": server.user_data}


def render(server: Server, ports: Sequence[Port], networks: Mapping[str, Network]) -> dict[str, Any]:
    """What `Server.drive` keeps: {meta_data, network_data} as the records are now."""
    return {"meta_data": meta_data(server), "network_data": network_data(ports, networks)}


def meta_data(server: Server) -> dict[str, Any]:
    """meta_data.json, as Nova's, but without the password and a random seed."""
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

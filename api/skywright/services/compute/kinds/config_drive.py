"""The contents of a server's config drive: OpenStack's meta_data.json, network_data.json and user data.

As in Nova it is written when the server is created. Later changes, such as metadata or a network's name, are written
only by a hard reboot (Nova's guests would use the metadata service). `Server.drive` keeps what was written, so that all
other jobs and comparisons with the host render the same again. It is null for servers that are older than this column:
their content is not known, so it is not compared. Their next job writes a config drive from the current records.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import netaddr
from sqlalchemy.orm import object_session

from skywright.services.compute.tables import Server
from skywright.services.network.internal import Network, Port, Subnet


def config_drive(server: Server, ports: Sequence[Port], networks: Mapping[str, Network]) -> dict[str, Any]:
    """Return the item's `config_drive`: as a job is writing it, else as it was written last. If that is not known, it
    is rendered from the current records and written only if the host has none.
    """
    recorded = server.next_drive or server.drive
    drive = recorded or render(server, ports, networks)
    secret = {} if server.admin_pass is None else {"admin_pass": server.admin_pass}
    meta = drive["meta_data"] | secret
    return drive | {"meta_data": meta, "user_data": server.user_data, "force": recorded is not None}


def render(server: Server, ports: Sequence[Port], networks: Mapping[str, Network]) -> dict[str, Any]:
    """Return the value of `Server.drive` {meta_data, network_data} from the current records."""
    return {"meta_data": meta_data(server), "network_data": network_data(ports, networks)}


def meta_data(server: Server) -> dict[str, Any]:
    """Return meta_data.json as in Nova, but without the password and a random seed."""
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
    """network_data.json as nova/virt/netutils.py writes it: {links, networks, services}; {} without ports.

    Nova has the first address of each IP version only; here all static addresses of a port are in it. As no DHCP serves
    IPv6, its addresses are static. The MTU of a link with DHCP is null: DHCP gives the present one.
    """
    if not ports:
        return {}
    links: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    services: list[dict[str, str]] = []
    for port in ports:
        addresses = _addresses(port)
        if not addresses:
            continue
        network, link = networks[port.network_id], f"tap{port.id[:11]}"
        dhcp = any(_has_dhcp(subnet) for subnet, _ip in addresses)
        links.append(
            {
                "id": link,
                "vif_id": port.id,
                "type": "ovs",
                "mtu": None if dhcp else network.mtu,
                "ethernet_mac_address": port.mac_address,
            }
        )
        if dhcp:
            entries.append({"type": "ipv4_dhcp", "link": link, "network_id": network.id})
        entries += [
            {**_static(subnet, ip), "link": link, "network_id": network.id}
            for subnet, ip in addresses
            if not _has_dhcp(subnet)
        ]
        services += [dns for subnet, _ip in addresses for dns in _dns(subnet)]
    return {
        "links": links,
        "networks": [{"id": f"network{index}", **entry} for index, entry in enumerate(entries)],
        "services": [dns for index, dns in enumerate(services) if dns not in services[:index]],
    }


def _addresses(port: Port) -> list[tuple[Subnet, str]]:
    """Return the port's subnets and addresses, IPv4 first."""
    session = object_session(port)
    found = (
        [(session.get(Subnet, address.subnet_id), address.ip_address) for address in port.addresses] if session else []
    )
    return sorted(((subnet, ip) for subnet, ip in found if subnet), key=lambda pair: pair[0].ip_version)


def _has_dhcp(subnet: Subnet) -> bool:
    return subnet.enable_dhcp and subnet.ip_version == 4


def _static(subnet: Subnet, ip: str) -> dict[str, Any]:
    routes = [_route(route["destination"], route["nexthop"]) for route in subnet.host_routes]
    if subnet.gateway_ip:
        any_address = "0.0.0.0" if subnet.ip_version == 4 else "::"
        routes.insert(0, {"network": any_address, "netmask": any_address, "gateway": subnet.gateway_ip})
    return {
        "type": f"ipv{subnet.ip_version}",
        "ip_address": ip,
        "netmask": str(netaddr.IPNetwork(subnet.cidr).netmask),
        "routes": routes,
        "services": _dns(subnet),
    }


def _dns(subnet: Subnet) -> list[dict[str, str]]:
    return [{"type": "dns", "address": server} for server in subnet.dns_nameservers]


def _route(destination: str, gateway: str) -> dict[str, str]:
    network = netaddr.IPNetwork(destination)
    return {"network": str(network.network), "netmask": str(network.netmask), "gateway": gateway}

"""What a network's DHCP server has of each port: its addresses, its DHCP options, its names in DNS."""

from collections.abc import Container
from typing import Any

from skywright.core import Item
from skywright.services.network import dns
from skywright.services.network.tables import Network, Port


def dhcp_entry(network: Network, port: Port, served: Container[str], *, present: bool) -> Item:
    """Return the entry of *port* in the item of *network*; *served* are the ids of the subnets with DHCP."""
    if not (present and port.addresses):
        return {"id": port.id, "mac": port.mac_address, "state": "absent"}
    addresses = [address.ip_address for address in port.addresses if address.subnet_id in served]
    names = dns.assignment(port, network)
    return {
        "id": port.id,
        "mac": port.mac_address,
        "hostname": names[0]["hostname"].partition(".")[0],
        "addresses": addresses,
        "names": [_names(entry) for entry in names],
        "options": [_option(option) for option in port.extra_dhcp_opts] if addresses else [],
        "state": "present",
    }


def _names(entry: dict[str, Any]) -> Item:
    """Return the names of an address, as in Neutron: the qualified one first."""
    names = dict.fromkeys(entry[key].removesuffix(".") for key in ("fqdn", "hostname"))
    return {"address": entry["ip_address"], "names": list(names)}


def _option(option: dict[str, Any]) -> Item:
    return {"name": option["opt_name"], "value": option["opt_value"]}

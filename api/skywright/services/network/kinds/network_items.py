"""Items of networks: taps, tunnels and DHCP, for jobs of servers and of networks.

Items are additive, so that runs with items of different age may converge in any order: an item always has all peers of
its host, and a new host is sent to every other host of the network. A network stays on a host when its last port is
removed; only the deletion of the network removes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.auth.signatures import Signatures
from skywright.core import Core, Item
from skywright.db.jobs import Host
from skywright.errors import Conflict
from skywright.services.network import dns, ipam
from skywright.services.network.address_pairs import normalized
from skywright.services.network.kinds.dhcp_entries import dhcp_entry
from skywright.services.network.network_types import TYPES
from skywright.services.network.qos import port_item
from skywright.services.network.router_ports import ON_HOSTS
from skywright.services.network.tables import Network, NetworkHost, Port, Subnet


@dataclass(frozen=True)
class PortChange:
    """*port* is added to (or removed from) the inventory's *host*."""

    port: Port
    host: str
    present: bool = True


@dataclass
class NetworkWork:
    """Items of kind `networks`, and for each port the (host, item id) whose results decide its job."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    depends: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


def network_items(session: Session, core: Core, changes: Iterable[PortChange]) -> NetworkWork:
    """Return the items for *changes* on all hosts, one for each host and network. Needs a write transaction.

    Ports on null hosts need no items. Ports that are added must have their `host` already.
    """
    by_network: dict[str, list[PortChange]] = {}
    for change in changes:
        host = session.get(Host, change.host)
        if host is not None and not host.is_null:
            by_network.setdefault(change.port.network_id, []).append(change)
    work = NetworkWork()
    hosts = real_hosts(session) if by_network else {}
    for network_id, group in by_network.items():
        network = session.get_one(Network, network_id)
        rendering = Rendering(session, core, network, hosts)
        rendering.render(group)
        for name, item in rendering.items.items():
            work.items.setdefault(name, []).append(item)
        for change in group:
            deciding = {change.host, rendering.dhcp_host} & rendering.items.keys()
            work.depends.setdefault(change.port.id, set()).update((name, network_id) for name in deciding)
    return work


def real_hosts(session: Session) -> dict[str, Host]:
    """Return the hosts that carry networks, by name."""
    return {host.name: host for host in session.scalars(select(Host)) if not host.is_null}


def tunnel_address(host: Host) -> str | None:
    """Return the address for tunnels from other hosts."""
    address = host.variables.get("vswitch_data_address")
    return str(address).partition("/")[0] if address else None


class Rendering:
    """The items of one network."""

    def __init__(self, session: Session, core: Core, network: Network, hosts: dict[str, Host]) -> None:
        self.session = session
        self.core = core
        self.network = network
        self.hosts = hosts
        self.members = presence(session, network.id) & hosts.keys()
        self.items: dict[str, Item] = {}
        self.dhcp_host = ""

    def render(self, changes: Sequence[PortChange]) -> None:
        """Add items for ports that are added and removed."""
        arriving = {change.host for change in changes if change.present}
        newcomers = arriving - self._established()
        port = self._dhcp_port(create=bool(arriving))
        if port is not None:
            self.dhcp_host = port.host
            if port.status != "ACTIVE" and arriving:
                newcomers.add(port.host)
        self._join(newcomers)
        for change in changes:
            self._plug(change)
        if port is not None:
            self._serve(port, changes)
        self._add_new_peers(newcomers)

    def serve(self) -> None:
        """Add the current item of the DHCP server, with the entries of all ports that are on hosts."""
        query = select(Port).where(Port.network_id == self.network.id, Port.host.in_(self.hosts))
        bound = [port for port in self.session.scalars(query) if port.device_owner != ipam.DHCP_OWNER]
        port = self._dhcp_port(create=bool(bound))
        if port is not None:
            self.dhcp_host = port.host
            newcomers = set() if port.status == "ACTIVE" else {port.host}
            self._join(newcomers)
            self._serve(port, [PortChange(other, other.host) for other in bound])
            self._add_new_peers(newcomers)

    def remove(self, dhcp_host: str) -> None:
        """Remove the network from all of its hosts."""
        for name in self.members:
            self._item(name)["state"] = "absent"
        if dhcp_host in self.members:
            self._item(dhcp_host)["dhcp"] = {"state": "absent"}

    def whole(self, ports: Iterable[Port] = ()) -> None:
        """Add everything that the records have about the network on its hosts, with these *ports* of servers; write
        nothing.
        """
        for name in self.members:
            self._item(name)
        there = [PortChange(port, port.host) for port in ports if port.host in self.members]
        for change in there:
            self._plug(change)
        port = recorded_dhcp_port(self.session, self.network.id)
        if port is not None and port.host in self.members:
            self.dhcp_host = port.host
            self._serve(port, there)

    def tidy(self, host: str, gone: Iterable[Port], former_peers: Sequence[str]) -> None:
        """Remove leftovers from *host*: taps and DHCP entries, tunnels, a DHCP server that was moved."""
        if host not in self.members:
            self.items[host] = {"id": self.network.id, "state": "absent"}
            return
        self.render([PortChange(port, host, present=False) for port in gone])
        item = self._item(host)
        item["former_peers"] = [peer for peer in former_peers if peer not in item["peers"]]
        port = recorded_dhcp_port(self.session, self.network.id)
        if port is None or port.host != host:
            item["dhcp"] = {"state": "absent"}

    def rejoin(self, host: str) -> None:
        """Add the item with all peers of *host*."""
        if host in self.members:
            self._item(host)

    def _item(self, host: str) -> Item:
        """Return the item of *host*, with all of its peers."""
        if host not in self.items:
            self.items[host] = {
                "id": self.network.id,
                "state": "present",
                "type": self.network.type,
                "segmentation_id": self.network.segment,
                "physical_network": self.network.physical_network or None,
                "mtu": self.network.mtu,
                "peers": self._addresses(self.members - {host}) if host in self.members else [],
                "ports": [],
                "dhcp": None,
            }
        return self.items[host]

    def _plug(self, change: PortChange) -> None:
        state = "present" if change.present else "absent"
        entry: Item = {"id": change.port.id, "mac": change.port.mac_address, "state": state}
        if change.present:
            entry |= _settings(self.network, change.port)
            entry["qos"] = port_item(self.session, self.network, change.port)
        if change.port.device_owner in ON_HOSTS:
            entry["device"] = "veth"
        self._item(change.host)["ports"].append(entry)

    def _addresses(self, names: Iterable[str]) -> list[str]:
        if not TYPES[self.network.type].header:
            return []
        return [address for name in sorted(names) if (address := tunnel_address(self.hosts[name]))]

    def _established(self) -> set[str]:
        """Return the hosts that all others already have as peers: a run that brought a port there was successful."""
        query = select(Port.host).where(Port.network_id == self.network.id, Port.status == "ACTIVE").distinct()
        return self.members.intersection(self.session.scalars(query))

    def _join(self, newcomers: Iterable[str]) -> None:
        for name in set(newcomers) - self.members:
            self.session.add(NetworkHost(network_id=self.network.id, host=name))
            self.members.add(name)

    def _add_new_peers(self, newcomers: set[str]) -> None:
        """Add items with the new peers for hosts without an item."""
        peers = self._addresses(newcomers)
        if not peers:
            return
        for name in self.members - self.items.keys():
            self._item(name)["peers"] = peers

    def _dhcp_port(self, *, create: bool) -> Port | None:
        """Return the network's DHCP port, with a host and an address in every subnet with DHCP."""
        subnets = served(self.session, self.network)
        port = recorded_dhcp_port(self.session, self.network.id)
        if port is None and not (create and subnets):
            return None
        host = port.host if port is not None and port.host in self.hosts else _network_host(self.hosts)
        if host is None:
            return None
        if port is None:
            port = ipam.create_port(
                self.session,
                self.network,
                self.network.project_id,
                fixed_ips=[],
                device_owner=ipam.DHCP_OWNER,
                device_id=f"dhcp-{self.network.id}",
                port_security_enabled=False,
            )
        if port.host != host:
            port.host, port.status = host, "DOWN"
        self._address(port, subnets)
        return port

    def _address(self, port: Port, subnets: list[Subnet]) -> None:
        """Give the DHCP port an address in every subnet with DHCP that has a free one, and in no other subnet."""
        held = {address.subnet_id for address in port.addresses}
        if held == {subnet.id for subnet in subnets}:
            return
        wanted = [{"subnet_id": s.id, "ip_address": None if s.id in held else self._free(s)} for s in subnets]
        possible = [entry for entry in wanted if entry["ip_address"] or entry["subnet_id"] in held]
        ipam.set_addresses(self.session, port, self.network, possible)

    def _free(self, subnet: Subnet) -> str | None:
        try:
            return ipam.allocate(self.session, subnet)
        except Conflict:
            return None

    def _serve(self, port: Port, changes: Iterable[PortChange]) -> None:
        """Add the DHCP server to the item of its host."""
        subnets = {subnet.id: subnet for subnet in served(self.session, self.network)}
        own = [address for address in port.addresses if address.subnet_id in subnets]
        self._item(port.host)["dhcp"] = {
            "mac": port.mac_address,
            "state": "present" if own and port.admin_state_up else "absent",
            "dns_domain": dns.domain_of(self.network).removesuffix("."),
            "metadata": self._metadata(),
            "subnets": [_subnet(subnets[address.subnet_id], address.ip_address) for address in own],
            "hosts": [
                dhcp_entry(self.network, change.port, subnets, present=change.present)
                for change in changes
                if change.port.device_owner not in ON_HOSTS
            ]
            if own
            else [],
        }

    def _metadata(self) -> Item:
        """Return where the network's metadata proxy forwards requests, and its signature."""
        settings = self.core.settings
        signature = Signatures(settings.key_dir).sign_provider(self.network.id)
        return {"api_url": f"{settings.public_url}/compute/metadata", "signature": signature}


def recorded_dhcp_port(session: Session, network_id: str) -> Port | None:
    """Return the port of a network's DHCP server, if it exists."""
    return session.scalar(select(Port).where(Port.network_id == network_id, Port.device_owner == ipam.DHCP_OWNER))


def presence(session: Session, network_id: str) -> set[str]:
    """Return the hosts on which a run was told to create the network."""
    return set(session.scalars(select(NetworkHost.host).where(NetworkHost.network_id == network_id)))


def _network_host(hosts: dict[str, Host]) -> str | None:
    candidates = (host.name for host in hosts.values() if "networks" in host.groups and host.condition == "enabled")
    return min(candidates, default=None)


def served(session: Session, network: Network) -> list[Subnet]:
    """Return the subnets that the DHCP server serves: none while the network is down.

    An IPv6 subnet without an address mode needs no DHCP.
    """
    subnets = ipam.subnets_of(session, network.id) if network.admin_state_up else []
    return [subnet for subnet in subnets if subnet.enable_dhcp and subnet.ip_version == 4]


def _settings(network: Network, port: Port) -> Item:
    """Return what the switch of a present port lets pass."""
    return {
        "admin_state_up": network.admin_state_up and port.admin_state_up,
        "port_security_enabled": port.port_security_enabled,
        "addresses": sorted(address.ip_address for address in port.addresses),
        "allowed_address_pairs": [normalized(pair) for pair in port.allowed_address_pairs],
    }


def _subnet(subnet: Subnet, address: str) -> Item:
    return {
        "id": subnet.id,
        "cidr": subnet.cidr,
        "address": address,
        "gateway_ip": subnet.gateway_ip,
        "dns_nameservers": list(subnet.dns_nameservers),
        "host_routes": list(subnet.host_routes),
    }

"""What networks need on hosts: taps, tunnels and DHCP, for the jobs of servers and for those of networks.

Items are additive, so runs that were rendered from different moments may converge in any order: a host is told all
of its peers whenever it gets an item, and a new host is made known to every other host of the network. A network
stays on a host when its last port leaves; only deleting the network removes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright import ipam
from skywright.db import utcnow
from skywright.db.jobs import Host, Job
from skywright.db.network import Network, NetworkHost, Port, Subnet
from skywright.errors import Conflict
from skywright.jobs.playbooks import Item, Outcome, Work
from skywright.jobs.submit import enqueue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

NULL_LIBVIRT = "test:///default"
DNS_DOMAIN = "skywright.internal"
FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)


@dataclass(frozen=True)
class PortChange:
    """*port* appears on (or leaves) the inventory's *host*."""

    port: Port
    host: str
    present: bool = True


@dataclass
class NetworkWork:
    """Items of kind `networks`, and for each port the (host, item id) whose results decide about it."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    depends: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


def network_items(session: Session, changes: Iterable[PortChange]) -> NetworkWork:
    """What *changes* need on all hosts; every (host, network) is one item. In a write transaction.

    Ports on null hosts need nothing. Ports that appear must have their `host` already.
    """
    hosts = {host.name: host for host in session.scalars(select(Host)) if not is_null(host)}
    by_network: dict[str, list[PortChange]] = {}
    for change in changes:
        if change.host in hosts:
            by_network.setdefault(change.port.network_id, []).append(change)
    work = NetworkWork()
    for network_id, group in by_network.items():
        network = session.get_one(Network, network_id)
        rendering = _Rendering(session, network, hosts)
        rendering.render(group)
        for name, item in rendering.items.items():
            work.items.setdefault(name, []).append(item)
        for change in group:
            deciding = {change.host, rendering.dhcp_host} & rendering.items.keys()
            work.depends.setdefault(change.port.id, set()).update((name, network_id) for name in deciding)
    return work


def is_null(host: Host) -> bool:
    """Whether *host* is libvirt's own null driver: it has no taps and no tunnels."""
    return bool(host.variables.get("hypervisor_libvirt_uri") == NULL_LIBVIRT)


def tunnel_address(host: Host) -> str | None:
    """The address that other hosts' tunnels lead to."""
    address = host.variables.get("vswitch_data_address")
    return str(address).partition("/")[0] if address else None


class _Rendering:
    """One network's items."""

    def __init__(self, session: Session, network: Network, hosts: dict[str, Host]) -> None:
        self.session = session
        self.network = network
        self.hosts = hosts
        self.members = presence(session, network.id) & hosts.keys()
        self.items: dict[str, Item] = {}
        self.dhcp_host = ""

    def render(self, changes: Sequence[PortChange]) -> None:
        """Items for ports that come and go."""
        arriving = {change.host for change in changes if change.present}
        newcomers = arriving - self._established()
        port = self._dhcp_port(create=bool(arriving))
        if port is not None:
            self.dhcp_host = port.host
            if port.status != "ACTIVE" and arriving:
                newcomers.add(port.host)
        self._join(newcomers)
        for change in changes:
            state = "present" if change.present else "absent"
            entry = {"id": change.port.id, "mac": change.port.mac_address, "state": state}
            self._item(change.host)["ports"].append(entry)
        if port is not None:
            self._serve(port, changes)
        self._introduce(newcomers)

    def serve(self) -> None:
        """The item of the DHCP server as it is now, with the entries of all ports that are on hosts."""
        query = select(Port).where(Port.network_id == self.network.id, Port.host.in_(self.hosts))
        bound = [port for port in self.session.scalars(query) if port.device_owner != ipam.DHCP_OWNER]
        port = self._dhcp_port(create=bool(bound))
        if port is not None:
            self.dhcp_host = port.host
            newcomers = set() if port.status == "ACTIVE" else {port.host}
            self._join(newcomers)
            self._serve(port, [PortChange(other, other.host) for other in bound])
            self._introduce(newcomers)

    def remove(self, dhcp_host: str) -> None:
        """Take the network off all of its hosts."""
        for name in self.members:
            self._item(name)["state"] = "absent"
        if dhcp_host in self.members:
            self._item(dhcp_host)["dhcp"] = {"state": "absent"}

    def rejoin(self, host: str) -> None:
        """The item that tells *host* all of its peers."""
        if host in self.members:
            self._item(host)

    def _item(self, host: str) -> Item:
        """The item of *host*, with all peers that it has."""
        if host not in self.items:
            self.items[host] = {
                "id": self.network.id,
                "state": "present",
                "type": self.network.type,
                "segmentation_id": self.network.segmentation_id or None,
                "physical_network": self.network.physical_network or None,
                "mtu": self.network.mtu,
                "peers": self._addresses(self.members - {host}) if host in self.members else [],
                "ports": [],
                "dhcp": None,
            }
        return self.items[host]

    def _addresses(self, names: Iterable[str]) -> list[str]:
        if self.network.type != "vxlan":
            return []
        return [address for name in sorted(names) if (address := tunnel_address(self.hosts[name]))]

    def _established(self) -> set[str]:
        """Hosts that all others know already: some run that brought a port there succeeded."""
        query = select(Port.host).where(Port.network_id == self.network.id, Port.status == "ACTIVE").distinct()
        return self.members.intersection(self.session.scalars(query))

    def _join(self, newcomers: Iterable[str]) -> None:
        for name in set(newcomers) - self.members:
            self.session.add(NetworkHost(network_id=self.network.id, host=name))
            self.members.add(name)

    def _introduce(self, newcomers: set[str]) -> None:
        """Give the hosts that have no item yet one that tells them the newcomers."""
        peers = self._addresses(newcomers)
        if not peers:
            return
        for name in self.members - self.items.keys():
            self._item(name)["peers"] = peers

    def _dhcp_port(self, *, create: bool) -> Port | None:
        """The network's DHCP port with an address in every subnet that wants DHCP; it knows its host."""
        served = _served(ipam.subnets_of(self.session, self.network.id))
        query = select(Port).where(Port.network_id == self.network.id, Port.device_owner == ipam.DHCP_OWNER)
        port = self.session.scalar(query)
        if port is None and not (create and served):
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
            )
        if port.host != host:
            port.host, port.status = host, "DOWN"
        self._address(port, served)
        return port

    def _address(self, port: Port, served: list[Subnet]) -> None:
        """Give the DHCP port an address in every served subnet that has one left, and none elsewhere."""
        held = {address.subnet_id for address in port.addresses}
        if held == {subnet.id for subnet in served}:
            return
        wanted = [{"subnet_id": s.id, "ip_address": None if s.id in held else self._free(s)} for s in served]
        possible = [entry for entry in wanted if entry["ip_address"] or entry["subnet_id"] in held]
        ipam.set_addresses(self.session, port, self.network, possible)

    def _free(self, subnet: Subnet) -> str | None:
        try:
            return ipam.allocate(self.session, subnet)
        except Conflict:
            return None

    def _serve(self, port: Port, changes: Iterable[PortChange]) -> None:
        """Put the DHCP server into the item of its host."""
        subnets = {subnet.id: subnet for subnet in _served(ipam.subnets_of(self.session, self.network.id))}
        own = [address for address in port.addresses if address.subnet_id in subnets]
        self._item(port.host)["dhcp"] = {
            "mac": port.mac_address,
            "state": "present" if own else "absent",
            "dns_domain": DNS_DOMAIN,
            "subnets": [_subnet(subnets[address.subnet_id], address.ip_address) for address in own],
            "hosts": [_entry(change, subnets) for change in changes] if own else [],
        }


def presence(session: Session, network_id: str) -> set[str]:
    """The hosts that some run was told to put the network on."""
    return set(session.scalars(select(NetworkHost.host).where(NetworkHost.network_id == network_id)))


def _network_host(hosts: dict[str, Host]) -> str | None:
    candidates = (host.name for host in hosts.values() if "networks" in host.groups and host.condition == "enabled")
    return min(candidates, default=None)


def _served(subnets: Iterable[Subnet]) -> list[Subnet]:
    """The subnets that the DHCP server serves; an IPv6 subnet without an address mode asks for none."""
    return [subnet for subnet in subnets if subnet.enable_dhcp and subnet.ip_version == 4]


def _subnet(subnet: Subnet, address: str) -> Item:
    return {
        "id": subnet.id,
        "cidr": subnet.cidr,
        "address": address,
        "gateway_ip": subnet.gateway_ip,
        "dns_nameservers": list(subnet.dns_nameservers),
        "host_routes": list(subnet.host_routes),
    }


def _entry(change: PortChange, subnets: dict[str, Subnet]) -> Item:
    addresses = [address.ip_address for address in change.port.addresses if address.subnet_id in subnets]
    return {
        "id": change.port.id,
        "mac": change.port.mac_address,
        "hostname": "host-" + addresses[0].replace(".", "-") if addresses else "",
        "addresses": addresses,
        "state": "present" if change.present and addresses else "absent",
    }


class NetworkPlaybook:
    """Jobs of networks.

    `update` brings the DHCP server up to date, `delete` takes the network off its hosts, `rejoin` tells a host that
    was away the peers that came meanwhile.
    """

    name = "network"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        hosts = {host.name: host for host in session.scalars(select(Host)) if not is_null(host)}
        work = Work()
        # One resource is never in two running jobs, so no network comes twice.
        for job in jobs:
            network = session.get(Network, job.arguments["network_id"])
            if network is None:
                continue
            rendering = _Rendering(session, network, hosts)
            if job.action == "delete":
                rendering.remove(job.arguments["dhcp_host"])
            elif job.action == "rejoin":
                rendering.rejoin(job.arguments["host"])
            else:
                rendering.serve()
            for name, item in rendering.items.items():
                work.items.setdefault(name, {}).setdefault("networks", []).append(item)
            deciding = set(rendering.items)
            if job.action == "update":
                deciding &= {rendering.dhcp_host}
            work.depends[job.id] = {(name, network.id) for name in deciding}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        network = session.get(Network, job.arguments["network_id"])
        if network is None:
            return
        if job.action == "delete" and outcome.ok:
            session.execute(delete(NetworkHost).where(NetworkHost.network_id == network.id))
            session.delete(network)
        elif job.action == "delete":
            _delete_later(session, cloud, job.arguments)
        elif job.action == "update" and outcome.ok:
            self._settle_update(session, network)

    def _settle_update(self, session: Session, network: Network) -> None:
        query = select(Port).where(Port.network_id == network.id, Port.device_owner == ipam.DHCP_OWNER)
        port = session.scalar(query)
        if port is None:
            return
        if _served(ipam.subnets_of(session, network.id)):
            port.status = "ACTIVE"
        else:
            ipam.delete_port(session, port)


def _delete_later(session: Session, cloud: "Cloud", arguments: dict[str, Any]) -> None:
    """Queue another try, each twice as late as the one before: its user can no longer ask for it."""
    attempt = int(arguments.get("attempt", 0))
    resources = [("network", arguments["network_id"])]
    job = enqueue(session, cloud.queue, "network", "delete", resources, arguments | {"attempt": attempt + 1})
    job.not_before = utcnow() + min(FIRST_RETRY * 2 ** min(attempt, 16), LAST_RETRY)


PLAYBOOK = NetworkPlaybook()

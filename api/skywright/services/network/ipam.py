"""Addresses, ports and quotas: functions for the network service and the compute service.

Every function runs in its caller's write transaction. User errors are ApiErrors with Neutron's types.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import netaddr
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from skywright.errors import BadRequest, Conflict
from skywright.services.network import associations
from skywright.services.network.router_tables import FloatingIp, Router
from skywright.services.network.tables import (
    Address,
    Network,
    NetworkQuota,
    NetworkTag,
    Owned,
    Port,
    RbacPolicy,
    Subnet,
    SubnetPool,
)

DHCP_OWNER = "network:dhcp"
QUOTAS = {
    "network": 100,
    "subnet": 500,
    "subnetpool": -1,
    "port": 500,
    "rbac_policy": 10,
    "router": 10,
    "floatingip": 50,
}
MAX_ADDRESSES = 50  # of a port
_MODELS: dict[str, type[Owned]] = {
    "network": Network,
    "subnet": Subnet,
    "subnetpool": SubnetPool,
    "port": Port,
    "rbac_policy": RbacPolicy,
    "router": Router,
    "floatingip": FloatingIp,
}
_random = random.SystemRandom()


def limits(session: Session, project_id: str) -> dict[str, int]:
    """Return the quotas of a project; -1 is unlimited."""
    query = select(NetworkQuota.resource, NetworkQuota.limit).where(NetworkQuota.project_id == project_id)
    return {**QUOTAS, **{row.resource: row.limit for row in session.execute(query)}}


def used(session: Session, project_id: str, resource: str) -> int:
    """Return the number of the project's resources of a type."""
    model = _MODELS[resource]
    query = select(func.count()).select_from(model).where(model.project_id == project_id)
    if model in (Network, Router):
        query = query.where(model.deleted_at.is_(None))
    return session.scalar(query) or 0


def check_quota(session: Session, project_id: str, resource: str, count: int = 1) -> None:
    """Raise Conflict unless *project_id* may have *count* more of *resource*, a name in QUOTAS."""
    limit = limits(session, project_id)[resource]
    if limit >= 0 and used(session, project_id, resource) + count > limit:
        raise Conflict(f"Quota exceeded for resources: ['{resource}'].", kind="OverQuota")


def create_port(
    session: Session,
    network: Network,
    project_id: str,
    *,
    fixed_ip: str | None = None,
    fixed_ips: Sequence[Mapping[str, Any]] | None = None,
    mac_address: str | None = None,
    **values: Any,
) -> Port:
    """Create and flush a port with its addresses; *values* are other columns of Port.

    *fixed_ips* are Neutron's `[{subnet_id?, ip_address?}]`; None allocates an address of each IP version of the
    network's subnets, and an empty list gives the port no address. The default of `port_security_enabled` is the
    network's value. The caller checks the quota.
    """
    if fixed_ip is not None:
        fixed_ips = [{"ip_address": fixed_ip}]
    subnets = subnets_of(session, network.id)
    wanted = _any_addresses(session, network, subnets) if fixed_ips is None else None
    if wanted is None:
        wanted = resolve(session, network, subnets, fixed_ips or [])
    values.setdefault("port_security_enabled", network.port_security_enabled)
    port = Port(network_id=network.id, project_id=project_id, **values)
    port.mac_address = claim_mac(session, network.id, mac_address)
    port.addresses = [Address(subnet_id=subnet_id, ip_address=ip) for subnet_id, ip in wanted]
    session.add(port)
    _flush(session)
    return port


def delete_port(session: Session, port: Port) -> set[str]:
    """Delete the port and release its addresses; return the routers that lose floating IPs of the port."""
    routers = associations.disassociate(session, port)
    session.execute(delete(NetworkTag).where(NetworkTag.resource_id == port.id))
    session.delete(port)
    session.flush()
    return routers


def set_addresses(session: Session, port: Port, network: Network, fixed_ips: Sequence[Mapping[str, Any]]) -> None:
    """Give *port* the addresses *fixed_ips*. Addresses that it has already and that match are kept."""
    held = {(address.subnet_id, address.ip_address): address for address in port.addresses}
    wanted = resolve(session, network, subnets_of(session, network.id), fixed_ips, held=list(held))
    port.addresses = [held.get(key) or Address(subnet_id=key[0], ip_address=key[1]) for key in wanted]
    _flush(session)


def ports_up(session: Session, ports: Iterable[Port]) -> None:
    """Set *ports*, which a run has created on their hosts, and the DHCP ports of their networks to ACTIVE."""
    networks = set()
    for port in ports:
        port.status = "ACTIVE"
        networks.add(port.network_id)
    query = select(Port).where(Port.network_id.in_(networks), Port.device_owner == DHCP_OWNER, Port.status != "ACTIVE")
    for port in session.scalars(query):
        port.status = "ACTIVE"


def subnets_of(session: Session, network_id: str) -> list[Subnet]:
    """Return the subnets of a network, oldest first."""
    query = select(Subnet).where(Subnet.network_id == network_id).order_by(Subnet.created_at, Subnet.id)
    return list(session.scalars(query))


def mac_address(value: str) -> str:
    """Return a MAC address in any notation as `fa:16:3e:00:00:01`; raise ValueError if it is not one."""
    # netaddr ignores a line feed at the end.
    if not netaddr.valid_mac(value) or value != value.strip():
        raise ValueError
    return str(netaddr.EUI(value, version=48, dialect=netaddr.mac_unix_expanded))


def claim_mac(session: Session, network_id: str, wanted: str | None) -> str:
    """Return *wanted* if it is free in the network, else raise Conflict. Without *wanted*, return a free address with
    Neutron's prefix.
    """
    if wanted is not None:
        if _mac_taken(session, network_id, wanted):
            text = f"Unable to complete operation for network {network_id}. The mac address {wanted} is in use."
            raise Conflict(text, kind="MacAddressInUse")
        return wanted
    while True:
        number = _random.randrange(1 << 24)
        mac = f"fa:16:3e:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        if not _mac_taken(session, network_id, mac):
            return mac


def resolve(
    session: Session,
    network: Network,
    subnets: Sequence[Subnet],
    fixed_ips: Sequence[Mapping[str, Any]],
    held: Sequence[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """Return Neutron's *fixed_ips* as [(subnet id, address)]; *held* are the present addresses of the port."""
    if len(fixed_ips) > MAX_ADDRESSES:
        raise BadRequest("Exceeded maximum amount of fixed ips per port.", kind="InvalidInput")
    by_id = {subnet.id: subnet for subnet in subnets}
    result: list[tuple[str, str]] = []
    for entry in fixed_ips:
        subnet = _subnet_for(network, by_id, entry)
        if entry.get("ip_address"):
            key = (subnet.id, str(netaddr.IPAddress(entry["ip_address"])))
            if key in result:
                raise BadRequest("Duplicate fixed_ips in the request.", kind="InvalidInput")
            if key not in held:
                _check_free(session, subnet, key[1])
        else:
            key = next((have for have in held if have[0] == subnet.id and have not in result), None) or (
                subnet.id,
                allocate(session, subnet, {ip for _, ip in result}),
            )
        result.append(key)
    return result


def allocate(session: Session, subnet: Subnet, also_taken: Iterable[str] = ()) -> str:
    """Return a free address in the pools of *subnet*; raise Conflict if there is none.

    The search starts after the last allocated address, so that a released address is not used again immediately, and
    filling a subnet needs one query for each port.
    """
    # The lock on the row serializes allocations in databases that do not serialize writers.
    cursor = session.scalar(select(Subnet.cursor).where(Subnet.id == subnet.id).with_for_update())
    excluded = set(also_taken)
    if subnet.gateway_ip:
        excluded.add(subnet.gateway_ip)
    batch: list[str] = []
    size = 8
    for candidate in _candidates(subnet, cursor):
        batch.append(candidate)
        if len(batch) == size:
            found = _first_free(session, subnet, batch, excluded)
            if found:
                return found
            batch, size = [], min(size * 4, 2048)
    found = _first_free(session, subnet, batch, excluded)
    if found:
        return found
    raise Conflict(f"No more IP addresses available on network {subnet.network_id}.", kind="IpAddressGenerationFailure")


def _first_free(session: Session, subnet: Subnet, batch: list[str], excluded: set[str]) -> str | None:
    query = select(Address.ip_address).where(Address.subnet_id == subnet.id, Address.ip_address.in_(batch))
    taken = excluded.union(session.scalars(query))
    found = next((ip for ip in batch if ip not in taken), None)
    if found:
        subnet.cursor = found
    return found


def _candidates(subnet: Subnet, cursor: str | None) -> Iterator[str]:
    """Yield all addresses of the pools, from *cursor* on and then from the beginning."""
    pools = [(int(netaddr.IPAddress(p["start"])), int(netaddr.IPAddress(p["end"]))) for p in subnet.allocation_pools]
    last = int(netaddr.IPAddress(cursor)) if cursor else -1
    behind = [(max(start, last + 1), end) for start, end in pools if end > last]
    before = [(start, min(end, last)) for start, end in pools if start <= last]
    for start, end in behind + before:
        for number in range(start, end + 1):
            yield str(netaddr.IPAddress(number, 6 if subnet.ip_version == 6 else 4))


def _any_addresses(session: Session, network: Network, subnets: Sequence[Subnet]) -> list[tuple[str, str]]:
    """Return an address of each IP version, from the first subnet with a free one."""
    result = []
    for version in (4, 6):
        full: Conflict | None = None
        for subnet in (s for s in subnets if s.ip_version == version):
            try:
                result.append((subnet.id, allocate(session, subnet)))
                full = None
                break
            except Conflict as error:
                full = error
        if full:
            raise full
    return result


def _subnet_for(network: Network, by_id: Mapping[str, Subnet], entry: Mapping[str, Any]) -> Subnet:
    subnet_id, ip = entry.get("subnet_id"), entry.get("ip_address")
    if subnet_id:
        subnet = by_id.get(subnet_id)
        if subnet is None:
            text = (
                f"Failed to create port on network {network.id}, because fixed_ips included invalid subnet {subnet_id}."
            )
            raise BadRequest(text, kind="InvalidInput")
        if ip and not usable(ip, subnet.cidr):
            raise BadRequest(f"IP address {ip} is not a valid IP for the specified subnet.", kind="InvalidIpForSubnet")
        return subnet
    if not ip:
        raise BadRequest("IP allocation requires subnet_id or ip_address.", kind="InvalidInput")
    for subnet in by_id.values():
        if usable(ip, subnet.cidr):
            return subnet
    text = f"IP address {ip} is not a valid IP for any of the subnets on the specified network."
    raise BadRequest(text, kind="InvalidIpForNetwork")


def usable(ip: str, cidr: str) -> bool:
    """Return whether *ip* is a possible port address in *cidr*: neither the network's own nor the broadcast address."""
    address, network = netaddr.IPAddress(ip), netaddr.IPNetwork(cidr)
    if address.version != network.version or address not in network:
        return False
    if network.size <= 2:
        return True
    return bool(address != network.network) and (address.version == 6 or address != network.broadcast)


def _check_free(session: Session, subnet: Subnet, ip: str) -> None:
    if session.get(Address, (subnet.id, ip)) is not None:
        text = f"IP address {ip} already allocated in subnet {subnet.id}"
        raise Conflict(text, kind="IpAddressAlreadyAllocated")


def _mac_taken(session: Session, network_id: str, mac: str) -> bool:
    query = select(Port.id).where(Port.network_id == network_id, Port.mac_address == mac)
    return session.scalar(query) is not None


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("The address was taken by another request; try again.", kind="IpAddressInUse") from error

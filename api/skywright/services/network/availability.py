"""IP availability: used addresses of networks."""

from collections.abc import Sequence
from typing import Any

import netaddr
from sqlalchemy import func, select

from skywright.http import Context, NotFound, Router
from skywright.http.paging import Clause
from skywright.services.network.listing import Listing, integer, query_of
from skywright.services.network.tables import Address, Network, Subnet

router = Router()
LARGEST = 2**63 - 1
RULE = "get_network_ip_availability"


def _with_subnets(context: Context, versions: Sequence[str]) -> Clause:
    """Match networks that have subnets of some IP versions."""
    wanted = Subnet.ip_version.in_([integer(version) for version in versions])
    return Network.id.in_(select(Subnet.network_id).where(wanted))


LISTING = Listing(
    Network,
    "Network",
    columns={"network_id": Network.id, "network_name": Network.name, "project_id": Network.project_id},
    specials={"ip_version": _with_subnets},
)


@router.operation("GET", "/v2.0/network-ip-availabilities", policy=RULE)
def list_availabilities(context: Context) -> dict[str, Any]:
    query, name = select(Network).where(Network.deleted_at.is_(None)), "network_ip_availabilities"
    networks, links = LISTING.page(context, query, name)
    versions = [integer(version) for version in query_of(context).get("ip_version", ())]
    return {name: _views(context, networks, versions)} | links


@router.operation("GET", "/v2.0/network-ip-availabilities/{network_id}", policy=RULE)
def show_availability(context: Context, network_id: str) -> dict[str, Any]:
    network = context.db.get(Network, network_id)
    if network is None or network.deleted_at is not None:
        raise NotFound.of("Network", network_id)
    return {"network_ip_availability": _views(context, [network])[0]}


def _views(context: Context, networks: Sequence[Network], versions: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Return the networks with their subnets; with *versions*, only subnets of these IP versions."""
    ids = [network.id for network in networks]
    counts = select(Address.subnet_id, func.count()).join(Subnet, Subnet.id == Address.subnet_id)
    counted = context.db.execute(counts.where(Subnet.network_id.in_(ids)).group_by(Address.subnet_id))
    used: dict[str, int] = {row[0]: row[1] for row in counted}
    subnets: dict[str, list[dict[str, Any]]] = {}
    query = select(Subnet).where(Subnet.network_id.in_(ids), Subnet.ip_version.in_(versions or (4, 6)))
    for subnet in context.db.scalars(query.order_by(Subnet.created_at)):
        subnets.setdefault(subnet.network_id, []).append(
            {
                "subnet_id": subnet.id,
                "subnet_name": subnet.name,
                "ip_version": subnet.ip_version,
                "cidr": subnet.cidr,
                "used_ips": used.get(subnet.id, 0),
                "total_ips": _size(subnet.allocation_pools),
            }
        )
    return [_view(network, subnets.get(network.id, [])) for network in networks]


def _view(network: Network, subnets: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        # Neutron has no such attribute, but openstacksdk needs it as the marker of the next page.
        "id": network.id,
        "network_id": network.id,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "used_ips": sum(subnet["used_ips"] for subnet in subnets),
        "total_ips": min(sum(subnet["total_ips"] for subnet in subnets), LARGEST),
        "subnet_ip_availability": subnets,
    }


def _size(pools: Sequence[dict[str, str]]) -> int:
    """Return the number of addresses. For IPv6 it may exceed the integers of JSON readers."""
    sizes = (int(netaddr.IPAddress(pool["end"])) - int(netaddr.IPAddress(pool["start"])) + 1 for pool in pools)
    return min(sum(sizes), LARGEST)

"""Floating IP pools: the IPv4 subnets of external networks."""

from typing import Any

from sqlalchemy import select

from skywright import http
from skywright.http import Context
from skywright.services.network.listing import Listing, query_of
from skywright.services.network.resource import chosen
from skywright.services.network.sharing import network_visible_to
from skywright.services.network.tables import Network, Subnet

router = http.Router()
LISTING = Listing(
    Subnet,
    "Subnet",
    columns={
        "subnet_id": Subnet.id,
        "subnet_name": Subnet.name,
        "network_id": Subnet.network_id,
        "cidr": Subnet.cidr,
    },
)


@router.operation("GET", "/v2.0/floatingip_pools", policy="get_floatingip_pool")
def list_pools(context: Context) -> dict[str, Any]:
    project = context.caller.project_id
    networks = select(Network.id).where(Network.external, Network.deleted_at.is_(None))
    if not context.is_admin:
        networks = networks.where(network_visible_to(project))
    query = select(Subnet).where(Subnet.ip_version == 4, Subnet.network_id.in_(networks))
    rows, links = LISTING.page(context, query, "floatingip_pools")
    views = [
        {
            "subnet_id": row.id,
            "subnet_name": row.name,
            "network_id": row.network_id,
            "cidr": row.cidr,
            "project_id": project,
            "tenant_id": project,
        }
        for row in rows
    ]
    return {"floatingip_pools": chosen(views, query_of(context))} | links

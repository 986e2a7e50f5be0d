"""Servers: list, show, update, delete. https://docs.openstack.org/api-ref/compute/#servers-servers"""

from typing import Any

import orjson
from fastapi import Response
from sqlalchemy import select

from skywright.http import Context, Router
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.services.compute.listing import next_link
from skywright.services.compute.server_bodies import UpdateServer, check_hostname
from skywright.services.compute.server_delete import delete
from skywright.services.compute.server_filters import ALL_FILTERS
from skywright.services.compute.server_queries import list_page
from skywright.services.compute.server_states import find_server, own_server
from skywright.services.compute.server_views import VIEW_POLICIES, ServerViews, links_of
from skywright.services.compute.tables import Server
from skywright.services.compute.validation import unexpected

router = Router()
FIELDS = {
    "name": "name",
    "description": "description",
    "hostname": "hostname",
    "accessIPv4": "access_ipv4",
    "accessIPv6": "access_ipv6",
    "disk_config": "disk_config",
}
SINCE = {"description": 19, "hostname": 90}


@router.operation(
    "GET",
    "/v2.1/servers",
    policy=("os_compute_api:servers:index", "os_compute_api:servers:index:get_all_tenants", ALL_FILTERS),
)
def list_servers(context: Context) -> dict[str, Any]:
    page = list_page(context, (Server.id, Server.name))
    base = context.base_url
    views = [{"id": row.id, "name": row.name, "links": links_of(base, row.id)} for row in page.rows]
    return {"servers": views} | next_link(context, "servers_links", page.following)


@router.operation(
    "GET",
    "/v2.1/servers/detail",
    policy=(
        "os_compute_api:servers:detail",
        "os_compute_api:servers:detail:get_all_tenants",
        ALL_FILTERS,
        *VIEW_POLICIES,
    ),
)
def list_servers_detail(context: Context) -> dict[str, Any]:
    views = ServerViews(context, listing=True)
    page = list_page(context, views.columns)
    return {"servers": views.render(page.rows, page.query)} | next_link(context, "servers_links", page.following)


@router.operation(
    "GET", "/v2.1/servers/{server_id}", policy=on_target("os_compute_api:servers:show", also=VIEW_POLICIES)
)
def show_server(context: Context, server_id: str) -> dict[str, Any]:
    find_server(context, server_id)
    return {"server": view(context, server_id)}


@router.operation(
    "PUT", "/v2.1/servers/{server_id}", policy=on_target("os_compute_api:servers:update", also=VIEW_POLICIES)
)
def update_server(context: Context, server_id: str, body: UpdateServer) -> dict[str, Any]:
    server, version = find_server(context, server_id), version_of(context)
    given = body.server.model_fields_set
    if foreign := [name for name, first in SINCE.items() if name in given and version < first]:
        raise unexpected(foreign)
    check_hostname(body.server.hostname, version)
    for name in given:
        setattr(server, FIELDS[name], getattr(body.server, name))
    context.db.flush()
    return {"server": view(context, server_id, full=version >= 75)}


@router.operation("DELETE", "/v2.1/servers/{server_id}", policy=on_target("os_compute_api:servers:delete"), status=204)
def delete_server(context: Context, server_id: str) -> Response:
    delete(context, own_server(context, server_id))
    return Response(status_code=204)


def view(context: Context, server_id: str, *, full: bool = True) -> orjson.Fragment:
    """Return the view of one server, as in GET, as JSON."""
    views = ServerViews(context, listing=False, full=full)
    rows = context.db.execute(select(*views.columns).where(Server.id == server_id)).all()
    return views.render(rows)[0]

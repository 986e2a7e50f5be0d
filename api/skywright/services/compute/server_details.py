"""Sub-resources of servers: metadata, tags, addresses, interfaces."""

from typing import Any

from fastapi import Response
from sqlalchemy import select

from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.microversions import since, version_of
from skywright.http.policy import on_target
from skywright.services.compute import quotas
from skywright.services.compute.server_bodies import Tag, Tags
from skywright.services.compute.server_states import find_server, own_server, require
from skywright.services.compute.server_views import addresses_of, interfaces_of
from skywright.services.compute.tables import SETTLED, Server
from skywright.services.compute.validation import Metadata
from skywright.services.network.internal import INTERFACE_ORDER, Port

router = Router()


class MetadataBody(Strict):
    metadata: Metadata


class MetaBody(Strict):
    meta: Metadata


class TagsBody(Strict):
    tags: Tags


@router.operation("GET", "/v2.1/servers/{server_id}/metadata", policy=on_target("os_compute_api:server-metadata:index"))
def list_metadata(context: Context, server_id: str) -> dict[str, Any]:
    return {"metadata": find_server(context, server_id).properties}


@router.operation(
    "PUT", "/v2.1/servers/{server_id}/metadata", policy=on_target("os_compute_api:server-metadata:update_all")
)
def replace_metadata(context: Context, server_id: str, body: MetadataBody) -> dict[str, Any]:
    return {"metadata": _set_metadata(context, server_id, body.metadata, keep=False)}


@router.operation(
    "POST", "/v2.1/servers/{server_id}/metadata", policy=on_target("os_compute_api:server-metadata:create")
)
def merge_metadata(context: Context, server_id: str, body: MetadataBody) -> dict[str, Any]:
    return {"metadata": _set_metadata(context, server_id, body.metadata, keep=True)}


@router.operation(
    "GET", "/v2.1/servers/{server_id}/metadata/{key}", policy=on_target("os_compute_api:server-metadata:show")
)
def show_meta(context: Context, server_id: str, key: str) -> dict[str, Any]:
    return {"meta": {key: _meta(find_server(context, server_id), key)}}


@router.operation(
    "PUT", "/v2.1/servers/{server_id}/metadata/{key}", policy=on_target("os_compute_api:server-metadata:update")
)
def set_meta(context: Context, server_id: str, key: str, body: MetaBody) -> dict[str, Any]:
    if list(body.meta) != [key]:
        raise BadRequest("Request body and URI mismatch")
    _set_metadata(context, server_id, body.meta, keep=True)
    return {"meta": body.meta}


@router.operation(
    "DELETE",
    "/v2.1/servers/{server_id}/metadata/{key}",
    policy=on_target("os_compute_api:server-metadata:delete"),
    status=204,
)
def delete_meta(context: Context, server_id: str, key: str) -> Response:
    server = own_server(context, server_id)
    _meta(server, key)
    require(server, "delete metadata", SETTLED, None, launched=False)
    server.properties = {name: value for name, value in server.properties.items() if name != key}
    return Response(status_code=204)


def _set_metadata(context: Context, server_id: str, metadata: dict[str, str], *, keep: bool) -> dict[str, Any]:
    server = own_server(context, server_id)
    require(server, "update metadata", SETTLED, None, launched=False)
    wanted = (server.properties if keep else {}) | metadata
    quotas.check_metadata(quotas.limits(context.db, server.project_id), wanted)
    server.properties = wanted
    return wanted


def _meta(server: Server, key: str) -> Any:
    if key not in server.properties:
        raise NotFound("Metadata item was not found")
    return server.properties[key]


@router.operation("GET", "/v2.1/servers/{server_id}/tags", policy=on_target("os_compute_api:os-server-tags:index"))
def list_tags(context: Context, server_id: str) -> dict[str, Any]:
    since(context, 26)
    return {"tags": find_server(context, server_id).tags}


@router.operation("PUT", "/v2.1/servers/{server_id}/tags", policy=on_target("os_compute_api:os-server-tags:update_all"))
def replace_tags(context: Context, server_id: str, body: TagsBody) -> dict[str, Any]:
    _set_tags(context, server_id, body.tags)
    return {"tags": body.tags}


@router.operation(
    "DELETE", "/v2.1/servers/{server_id}/tags", policy=on_target("os_compute_api:os-server-tags:delete_all"), status=204
)
def delete_tags(context: Context, server_id: str) -> Response:
    _set_tags(context, server_id, [])
    return Response(status_code=204)


@router.operation(
    "GET", "/v2.1/servers/{server_id}/tags/{tag}", policy=on_target("os_compute_api:os-server-tags:show"), status=204
)
def check_tag(context: Context, server_id: str, tag: str) -> Response:
    since(context, 26)
    _has_tag(find_server(context, server_id), tag)
    return Response(status_code=204)


@router.operation(
    "PUT", "/v2.1/servers/{server_id}/tags/{tag}", policy=on_target("os_compute_api:os-server-tags:update")
)
def add_tag(context: Context, server_id: str, tag: Tag) -> Response:
    tags = find_server(context, server_id).tags
    if tag in tags:
        return Response(status_code=204)
    if len(tags) >= 50:
        raise BadRequest("The number of tags exceeded the per-server limit 50")
    _set_tags(context, server_id, [*tags, tag])
    location = f"{context.base_url}/v2.1/servers/{server_id}/tags/{tag}"
    return Response(status_code=201, headers={"Location": location.encode("ascii", "replace").decode()})


@router.operation(
    "DELETE",
    "/v2.1/servers/{server_id}/tags/{tag}",
    policy=on_target("os_compute_api:os-server-tags:delete"),
    status=204,
)
def delete_tag(context: Context, server_id: str, tag: str) -> Response:
    server = find_server(context, server_id)
    _has_tag(server, tag)
    _set_tags(context, server_id, [other for other in server.tags if other != tag])
    return Response(status_code=204)


def _set_tags(context: Context, server_id: str, tags: list[str]) -> None:
    since(context, 26)
    server = find_server(context, server_id)
    require(server, "update tags", SETTLED, None, launched=False)
    server.tags = tags


def _has_tag(server: Server, tag: str) -> None:
    if tag not in server.tags:
        raise NotFound(f"Server {server.id} has no tag '{tag}'")


@router.operation("GET", "/v2.1/servers/{server_id}/ips", policy=on_target("os_compute_api:ips:index"))
def list_addresses(context: Context, server_id: str) -> dict[str, Any]:
    server = find_server(context, server_id)
    interfaces = interfaces_of(context.db, [server.id]).get(server.id, ())
    return {"addresses": addresses_of(interfaces, types=False)}


@router.operation("GET", "/v2.1/servers/{server_id}/ips/{label}", policy=on_target("os_compute_api:ips:show"))
def list_network_addresses(context: Context, server_id: str, label: str) -> dict[str, Any]:
    addresses = list_addresses(context, server_id)["addresses"]
    if label not in addresses:
        raise NotFound("Instance is not a member of specified network")
    return {label: addresses[label]}


@router.operation(
    "GET", "/v2.1/servers/{server_id}/os-interface", policy=on_target("os_compute_api:os-attach-interfaces:list")
)
def list_interfaces(context: Context, server_id: str) -> dict[str, Any]:
    server = find_server(context, server_id)
    query = select(Port).where(Port.device_id == server.id).order_by(*INTERFACE_ORDER)
    return {"interfaceAttachments": [_interface(context, port) for port in context.db.scalars(query)]}


@router.operation(
    "GET",
    "/v2.1/servers/{server_id}/os-interface/{port_id}",
    policy=on_target("os_compute_api:os-attach-interfaces:show"),
)
def show_interface(context: Context, server_id: str, port_id: str) -> dict[str, Any]:
    server = find_server(context, server_id)
    port = context.db.get(Port, port_id)
    if port is None or port.device_id != server.id:
        raise NotFound(f"Instance {server.id} does not have a port with id {port_id}")
    return {"interfaceAttachment": _interface(context, port)}


def _interface(context: Context, port: Port) -> dict[str, Any]:
    view = {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac_address,
        "port_state": port.status,
        "fixed_ips": [{"subnet_id": item.subnet_id, "ip_address": item.ip_address} for item in port.addresses],
    }
    return view | ({"tag": None} if version_of(context) >= 70 else {})

"""The metadata service, which servers ask at http://169.254.169.254.

The metadata proxies of networks forward the requests, with Nova's headers X-Metadata-Provider (the network's id) and
X-Metadata-Provider-Signature, and the server's address in X-Metadata-Address: controllers replace X-Forwarded-For.
A request is answered only for the server that has this address on this network.
"""

from typing import Annotated

from fastapi import Depends, Request, Response
from sqlalchemy import select

from skywright.auth.signatures import Signatures
from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router
from skywright.services.compute.kinds.items import ports_of
from skywright.services.compute.metadata_trees import Instance, find, password_allowed
from skywright.services.compute.server_views import FLOATING, interfaces_of
from skywright.services.compute.tables import Server
from skywright.services.network.internal import Address, Port, networks_of

router = Router()
PASSWORD_BYTES = 1020


async def _body(request: Request) -> bytes:
    return await request.body()


@router.operation("GET", "/metadata", policy=None)
@router.operation("GET", "/metadata/{path:path}", policy=None)
def show_metadata(context: Context) -> Response:
    """Return a file or a list of names. Raises NotFound if the path or the server does not exist."""
    path = context.request.path_params.get("path", "")
    content = find(_instance(context), path)
    if content is None:
        raise NotFound("The resource could not be found.")
    return Response(content, media_type="application/json" if path.endswith(".json") else "text/plain")


@router.operation("POST", "/metadata/{path:path}", policy=None)
def store_password(context: Context, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Store the server's encrypted password, once: `openstack server show --os-server-password` decrypts it.

    Raises Conflict if there is one, BadRequest if it is longer than Nova's limit or is not text.
    """
    server = _instance(context).server
    if not password_allowed(context.request.path_params["path"]):
        raise NotFound("The resource could not be found.")
    if server.encrypted_password:
        raise Conflict
    if len(body) > PASSWORD_BYTES:
        raise BadRequest("Request is too large.")
    try:
        server.encrypted_password = body.decode() or None
    except UnicodeDecodeError as error:
        raise BadRequest("The password is not UTF-8 text.") from error
    return Response()


def _instance(context: Context) -> Instance:
    """Return the server that asks. Raises Forbidden without a proxy's signature, NotFound without such a server."""
    headers = context.request.headers
    network_id, address = headers.get("x-metadata-provider", ""), headers.get("x-metadata-address", "")
    signatures = Signatures(context.cloud.settings.key_dir)
    if not signatures.signed_provider(network_id, headers.get("x-metadata-provider-signature", "")):
        raise Forbidden("Invalid proxy request signature.")
    has_address = Port.addresses.any(Address.ip_address == address)
    port = context.db.scalar(select(Port).where(Port.network_id == network_id, has_address))
    server = context.db.get(Server, port.device_id) if port is not None else None
    # As in Nova, a server and its port have the same project.
    if port is None or server is None or server.deleted_at is not None or server.project_id != port.project_id:
        raise NotFound("The resource could not be found.")
    ports = ports_of(context.db, [server.id])
    floating = (ip for _, ip, _, kind in interfaces_of(context.db, [server.id]).get(server.id, ()) if kind == FLOATING)
    return Instance(server, ports, networks_of(context.db, ports), address, next(floating, ""))

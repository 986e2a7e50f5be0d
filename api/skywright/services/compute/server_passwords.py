"""The encrypted password that a server's guest has sent to the metadata service."""

from fastapi import Response

from skywright.http import Context, Router
from skywright.http.policy import on_target
from skywright.services.compute.server_states import find_server

router = Router()
PATH = "/v2.1/servers/{server_id}/os-server-password"


@router.operation("GET", PATH, policy=on_target("os_compute_api:os-server-password:show"))
def show_password(context: Context, server_id: str) -> dict[str, str]:
    return {"password": find_server(context, server_id).encrypted_password or ""}


@router.operation("DELETE", PATH, policy=on_target("os_compute_api:os-server-password:clear"), status=204)
def clear_password(context: Context, server_id: str) -> Response:
    """Forget the password; the guest may then send another one."""
    find_server(context, server_id).encrypted_password = None
    return Response(status_code=204)

"""Remote consoles: URLs of servers' displays, and the location of displays.

https://docs.openstack.org/api-ref/compute/#server-consoles-servers-remote-consoles
"""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.cloud import Cloud
from skywright.db.jobs import Host
from skywright.errors import ApiError
from skywright.http import BadRequest, Conflict, Context, Forbidden, NotFound, Router
from skywright.http.bodies import Strict
from skywright.http.microversions import since, until, version_of
from skywright.http.policy import on_target
from skywright.jobs.runs.connection import ssh_command
from skywright.services.compute import remote_console_tokens as tokens
from skywright.services.compute import server_action_bodies as bodies
from skywright.services.compute.server_states import find_server, require
from skywright.services.compute.tables import Server

router = Router()
PAGE = "compute/console/vnc_lite.html"
SOCKET = "compute/console/socket"
# libvirt returns vnc+unix://PATH.
JOIN = 'screen=$(virsh --connect qemu:///system domdisplay --type vnc {}) && exec nc.openbsd -N -U "${{screen#*://}}"'


class Wanted(Strict):
    protocol: Literal["vnc", "spice", "rdp", "serial", "mks"]
    type: Literal["novnc", "xvpvnc", "rdp-html5", "spice-html5", "serial", "webmks"]


class WantedBody(Strict):
    remote_console: Wanted


@dataclass(frozen=True)
class Display:
    """The location of a server's display: the host's connection variables; libvirt knows the path of the UNIX socket
    there.
    """

    server_id: str
    host: str
    variables: dict[str, Any]

    @property
    def command(self) -> list[str]:
        """Return the command that connects its input and output with the display."""
        return ssh_command(self.host, self.variables, ["sh", "-c", JOIN.format(self.server_id)])


@router.operation(
    "POST",
    "/v2.1/servers/{server_id}/remote-consoles",
    policy=on_target("os_compute_api:os-remote-consoles"),
    write=False,
)
def create_console(context: Context, server_id: str, body: WantedBody) -> dict[str, Any]:
    since(context, 6)
    wanted = body.remote_console
    url = _url(context, server_id, wanted.type if wanted.protocol == "vnc" else None)
    return {"remote_console": {"protocol": "vnc", "type": wanted.type, "url": url}}


def vnc_console(context: Context, server_id: str, argument: Any) -> dict[str, Any]:
    """The action before 2.6 with the same purpose."""
    until(context, 5)
    kind = bodies.argument(bodies.VncConsole, "os-getVNCConsole", argument).type
    return {"console": {"type": kind, "url": _url(context, server_id, kind)}}


@router.operation("GET", "/v2.1/os-console-auth-tokens/{token}", policy="os_compute_api:os-console-auth-tokens")
def show_token(context: Context, token: str) -> dict[str, Any]:
    if version_of(context) < 31:  # only for RDP, which no server has
        raise ApiError("The requested console type details are not accessible", status=401)
    server_id = tokens.server_of(context.cloud.settings, token)
    screen = None if server_id is None else find(context.db, server_id)
    if screen is None:
        raise NotFound("Token not found")
    # The display has no TCP port.
    where = {"host": screen.host, "port": None, "internal_access_path": None}
    return {"console": {"instance_uuid": screen.server_id, **where}}


def _url(context: Context, server_id: str, kind: str | None) -> str:
    """Return a new URL of the page that shows the server's display."""
    context.refuse_plan("the URL of a console is returned at once.")
    server = find_server(context, server_id, "os_compute_api:os-remote-consoles")
    if kind != "novnc":
        raise BadRequest("Unavailable console type: this cloud has consoles of protocol vnc and type novnc only.")
    require(server, "get_vnc_console", ("ACTIVE",), None)
    if find(context.db, server.id) is None:
        raise BadRequest("Unavailable console type novnc: the server's host has no displays.")
    settings = context.cloud.settings
    public = settings.public_url.rstrip("/")
    # noVNC's page needs the path from the root of its own host.
    path = f"{urlsplit(public).path.strip('/')}/{SOCKET}".lstrip("/")
    return f"{public}/{PAGE}?path={quote(f'{path}?token={tokens.issue(settings, server.id)}', safe='/')}"


def find(session: Session, server_id: str) -> Display | None:
    """Return the display of a server, if it is on a host that has displays."""
    query = select(Host).join(Server, Server.host == Host.name)
    host = session.scalar(query.where(Server.id == server_id, Server.deleted_at.is_(None)))
    return None if host is None or host.is_null else Display(server_id, host.name, dict(host.variables))


def admit(cloud: Cloud, token: str) -> Display:
    """Return the display for *token*, from the current records."""
    server_id = tokens.server_of(cloud.settings, token)
    if server_id is None:
        raise Forbidden("The console's token is not valid, or it has expired.")
    with cloud.database.read() as session:
        screen, server = find(session, server_id), session.get(Server, server_id)
        if screen is None or server is None:
            raise NotFound("The console's server does not exist any more.")
        if server.status != "ACTIVE":
            raise Conflict("The console's server is not running.")
        return screen

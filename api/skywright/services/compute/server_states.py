"""The states in which a server allows actions, and Nova's conflicts otherwise."""

from collections.abc import Collection

from skywright.http import Conflict, Context
from skywright.services.compute.server_views import VM_STATES
from skywright.services.compute.tables import Server


def find_server(context: Context, server_id: str, rule: str | None = None) -> Server:
    """Return the server. Raises NotFound for other projects' servers, Forbidden unless *rule* (default: the route's)
    allows it.
    """
    server = context.visible(Server, server_id, "Instance")
    context.enforce(rule or context.rules[0], {"project_id": server.project_id, "user_id": server.user_id})
    return server


def own_server(context: Context, server_id: str, rule: str | None = None) -> Server:
    """Return the server for a change. Also raises Conflict if it is locked."""
    server = find_server(context, server_id, rule)
    if server.locked_by is not None and not context.is_admin:
        raise Conflict(f"Instance {server.id} is locked")
    return server


def require(
    server: Server,
    action: str,
    statuses: Collection[str],
    tasks: Collection[str | None] | None = (None,),
    *,
    launched: bool = True,
) -> None:
    """Raise Conflict unless the server is in one of *statuses* and *tasks* (None: any task)."""
    if server.status not in statuses:
        raise _conflict(server, action, "vm_state", VM_STATES[server.status])
    if tasks is not None and server.task_state not in tasks:
        raise _conflict(server, action, "task_state", str(server.task_state))
    if launched and server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")


def _conflict(server: Server, action: str, attribute: str, value: str) -> Conflict:
    return Conflict(f"Cannot '{action}' instance {server.id} while it is in {attribute} {value}")

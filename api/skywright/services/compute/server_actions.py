"""`POST /servers/{id}/action`. https://docs.openstack.org/api-ref/compute/#servers-run-an-action-servers-action"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fastapi import Response

from skywright.db import new_uuid
from skywright.http import BadRequest, Conflict, Context, Router
from skywright.http.microversions import version_of
from skywright.http.policy import on_target
from skywright.http.router import json_response
from skywright.jobs.engine.submit import submit
from skywright.services.compute import server_action_bodies as bodies
from skywright.services.compute.consoles import console_output
from skywright.services.compute.floating_ips import add_floating_ip, remove_floating_ip
from skywright.services.compute.remote_consoles import vnc_console
from skywright.services.compute.server_delete import delete
from skywright.services.compute.server_states import find_server, own_server, require
from skywright.services.compute.server_views import REBOOTS
from skywright.services.compute.tables import BOOTED, Server

router = Router()
Action = Callable[[Context, str, Any], None]
Question = Callable[[Context, str, Any], dict[str, Any]]
# Actions with a response body that change nothing. Some wait for a job, which is not possible in a transaction.
QUESTIONS: Mapping[str, Question] = {"os-getConsoleOutput": console_output, "os-getVNCConsole": vnc_console}

# Actions of Nova that this cloud does not offer: they are refused with a reason.
ABSENT = frozenset(
    (
        "addFixedIp",
        "addSecurityGroup",
        "changePassword",
        "confirmResize",
        "createBackup",
        "createImage",
        "evacuate",
        "injectNetworkInfo",
        "migrate",
        "os-getRDPConsole",
        "os-getSerialConsole",
        "os-getSPICEConsole",
        "os-migrateLive",
        "pause",
        "rebuild",
        "removeFixedIp",
        "removeSecurityGroup",
        "rescue",
        "resetNetwork",
        "resize",
        "restore",
        "resume",
        "revertResize",
        "shelve",
        "shelveOffload",
        "suspend",
        "trigger_crash_dump",
        "unpause",
        "unrescue",
        "unshelve",
    )
)


POLICIES_OF_ACTIONS = (
    "os_compute_api:servers:start",
    "os_compute_api:servers:stop",
    "os_compute_api:servers:reboot",
    "os_compute_api:os-lock-server:lock",
    "os_compute_api:os-lock-server:unlock",
    "os_compute_api:os-lock-server:unlock:unlock_override",
    "os_compute_api:os-admin-actions:reset_state",
    "os_compute_api:os-deferred-delete:force",
    "os_compute_api:os-console-output",
    "os_compute_api:os-remote-consoles",
    "os_compute_api:os-floating-ips:add",
    "os_compute_api:os-floating-ips:remove",
)


def _writes(values: Mapping[str, Any]) -> bool:
    return QUESTIONS.keys().isdisjoint(values["body"])


@router.operation(
    "POST", "/v2.1/servers/{server_id}/action", policy=on_target(*POLICIES_OF_ACTIONS), status=202, write=_writes
)
def act(context: Context, server_id: str, body: dict[str, Any]) -> Response:
    if len(body) != 1:
        raise BadRequest("There must be exactly one action in the body.")
    [(name, argument)] = body.items()
    if name in QUESTIONS:
        return json_response(QUESTIONS[name](context, server_id, argument), 200)
    action = ACTIONS.get(name)
    if action is None:
        _refuse(context, server_id, name)
    action(context, server_id, argument)
    return Response(status_code=202)


def _refuse(context: Context, server_id: str, name: str) -> NoReturn:
    if name not in ABSENT:
        raise BadRequest(f"There is no such action: {name[:255]}")
    context.visible(Server, server_id, "Instance")
    raise BadRequest(f"The action {name} is not offered by this cloud.")


def _start(context: Context, server_id: str, _argument: Any) -> None:
    server = own_server(context, server_id, "os_compute_api:servers:start")
    require(server, "start", ("SHUTOFF",))
    _submit(context, server, "start", "powering-on", power="running")


def _stop(context: Context, server_id: str, _argument: Any) -> None:
    server = own_server(context, server_id, "os_compute_api:servers:stop")
    require(server, "stop", ("ACTIVE", "ERROR"))
    _submit(context, server, "stop", "powering-off", power="shutoff")


def _reboot(context: Context, server_id: str, argument: Any) -> None:
    kind = bodies.argument(bodies.Reboot, "reboot", argument).type.upper()
    server = own_server(context, server_id, "os_compute_api:servers:reboot")
    if kind == "SOFT":
        require(server, "reboot", ("ACTIVE",))
    else:
        require(server, "reboot", BOOTED, (None, *REBOOTS))
    task = "rebooting" if kind == "SOFT" else "rebooting_hard"
    _submit(context, server, "reboot", task, power="running", boot_id=new_uuid(), reboot=kind.lower())


def _lock(context: Context, server_id: str, argument: Any) -> None:
    reason = bodies.lock_argument(argument).locked_reason if version_of(context) >= 73 else None
    server = find_server(context, server_id, "os_compute_api:os-lock-server:lock")
    server.locked_by = "admin" if context.is_admin and server.project_id != context.caller.project_id else "owner"
    server.locked_reason = reason


def _unlock(context: Context, server_id: str, _argument: Any) -> None:
    server = find_server(context, server_id, "os_compute_api:os-lock-server:unlock")
    if server.locked_by == "admin":
        context.enforce("os_compute_api:os-lock-server:unlock:unlock_override", {"project_id": server.project_id})
    server.locked_by = server.locked_reason = None


def _reset_state(context: Context, server_id: str, argument: Any) -> None:
    state = bodies.argument(bodies.ResetState, "os-resetState", argument).state
    server = find_server(context, server_id, "os_compute_api:os-admin-actions:reset_state")
    if server.task_state == "deleting":
        raise Conflict(f"Cannot 'reset_state' instance {server.id} while it is in task_state deleting")
    server.status, server.task_state = state.upper(), None


def _delete(context: Context, server_id: str, _argument: Any) -> None:
    delete(context, own_server(context, server_id, "os_compute_api:os-deferred-delete:force"))


def _submit(context: Context, server: Server, action: str, task: str, **wanted: str) -> None:
    """Queue a job that brings the server to the state *wanted*. The job keeps the former state, in case it cannot
    begin.
    """
    before = {name: getattr(server, name) for name in wanted}
    server.task_state = task
    for name, value in wanted.items():
        setattr(server, name, value)
    submit(context, "server", action, [("server", server.id)], {"before": before})


ACTIONS: Mapping[str, Action] = {
    "os-start": _start,
    "os-stop": _stop,
    "reboot": _reboot,
    "lock": _lock,
    "unlock": _unlock,
    "os-resetState": _reset_state,
    "forceDelete": _delete,
    "addFloatingIp": add_floating_ip,
    "removeFloatingIp": remove_floating_ip,
}

"""Compute services, one for each compute host. A disabled service gets no new servers.

https://docs.openstack.org/api-ref/compute/#compute-services-os-services
"""

from typing import Annotated, Any, Literal

from skywright.db.jobs import MAINTENANCE, Host
from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.bodies import Omittable, Strict, only_empty
from skywright.http.microversions import since, until, version_of
from skywright.jobs.engine.host_state import set_state
from skywright.services.compute.compute_hosts import compute_hosts, disabled_reason, host_number
from skywright.services.compute.listing import parameters
from skywright.services.compute.scheduler import zone_of
from skywright.services.compute.validation import Boolean, Identifier, Reason

router = Router()
BINARY = "nova-compute"
NotForcedDown = Annotated[
    Boolean, only_empty("This cloud cannot force compute services down yet: their state is that of their hosts.")
]


class OldChange(Strict):
    host: Identifier
    binary: Identifier
    disabled_reason: Omittable[Reason] = None


class ForceDown(Strict):
    host: Identifier
    binary: Identifier
    forced_down: NotForcedDown


class Change(Strict):
    status: Omittable[Literal["enabled", "disabled"]] = None
    disabled_reason: Omittable[Reason] = None
    forced_down: Omittable[NotForcedDown] = None


@router.operation("GET", "/v2.1/os-services", policy="os_compute_api:os-services:list")
def list_services(context: Context) -> dict[str, Any]:
    query = parameters(context, frozenset({"host", "binary"}))
    hosts = compute_hosts(context.db) if query.get("binary") in (None, "", BINARY) else []
    wanted = query.get("host")
    return {"services": [_view(context, host) for host in hosts if wanted in (None, "", host.name)]}


@router.operation("PUT", "/v2.1/os-services/enable", policy="os_compute_api:os-services:update")
def enable(context: Context, body: OldChange) -> dict[str, Any]:
    return {"service": _old(context, body, "enabled", None)}


@router.operation("PUT", "/v2.1/os-services/disable", policy="os_compute_api:os-services:update")
def disable(context: Context, body: OldChange) -> dict[str, Any]:
    return {"service": _old(context, body, "disabled", None)}


@router.operation("PUT", "/v2.1/os-services/disable-log-reason", policy="os_compute_api:os-services:update")
def disable_with_reason(context: Context, body: OldChange) -> dict[str, Any]:
    if body.disabled_reason is None:
        raise BadRequest("Missing disabled reason field")
    return {"service": _old(context, body, "disabled", body.disabled_reason)}


@router.operation("PUT", "/v2.1/os-services/force-down", policy="os_compute_api:os-services:update")
def force_down(context: Context, body: ForceDown) -> dict[str, Any]:
    since(context, 11)
    host = _find_old(context, body.host, body.binary)
    return {"service": {"host": host.name, "binary": BINARY, "forced_down": body.forced_down}}


@router.operation("PUT", "/v2.1/os-services/{service_id}", policy="os_compute_api:os-services:update")
def update_service(context: Context, service_id: str, body: Change) -> dict[str, Any]:
    since(context, 53)
    host = next((host for host in compute_hosts(context.db) if host.id == service_id), None)
    if host is None:
        raise NotFound(f"Service {service_id} could not be found.")
    if body.disabled_reason and body.status != "disabled":
        raise BadRequest("Specifying disabled_reason requires that status is disabled.")
    if body.status is None and body.forced_down is None:
        raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    if body.status is not None:
        _change(context, host, body.status, body.disabled_reason)
    return {"service": _view(context, host)}


def _old(context: Context, body: OldChange, state: str, reason: str | None) -> dict[str, Any]:
    host = _find_old(context, body.host, body.binary)
    _change(context, host, state, reason)
    view = {"host": host.name, "binary": BINARY, "status": state}
    return view | ({"disabled_reason": reason} if reason else {})


def _find_old(context: Context, name: str, binary: str) -> Host:
    """Return the host of the service that requests before 2.53 name."""
    until(context, 52)
    host = next((host for host in compute_hosts(context.db) if host.name == name), None)
    if host is None or binary != BINARY:
        raise NotFound(f"Could not find binary {binary} on host {name}.")
    return host


def _change(context: Context, host: Host, state: str, reason: str | None) -> None:
    """Change the state of the host. Nova has two states: a host in maintenance is shown as disabled, and stays in
    maintenance.
    """
    if state == "disabled" and host.state == MAINTENANCE:
        host.disabled_reason = reason
    else:
        set_state(context.db, context.cloud, host, state, reason)


def _view(context: Context, host: Host) -> dict[str, Any]:
    version = version_of(context)
    seen = host.observed_at or host.created_at
    view = {
        "id": host.id if version >= 53 else host_number(host),
        "binary": BINARY,
        "host": host.name,
        "zone": zone_of(host),
        "status": "enabled" if host.condition == "enabled" else "disabled",
        "state": "up" if host.up else "down",
        "updated_at": seen.isoformat(timespec="microseconds"),
        "disabled_reason": disabled_reason(host),
    }
    return view | ({"forced_down": False} if version >= 11 else {})

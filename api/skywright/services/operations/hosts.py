"""`/v1/hosts`: the hosts of the cloud, as in an inventory."""

import re
from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import select

from skywright.db.jobs import MAINTENANCE, OVERCLOUD, Host
from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.bodies import Json, Omittable, Strict, plain
from skywright.http.router import json_response
from skywright.jobs.engine.host_state import release, set_state
from skywright.jobs.engine.submit import submit
from skywright.jobs.kinds import resource_kinds
from skywright.jobs.upkeep.observe import ACTION
from skywright.redact import HIDDEN
from skywright.services.compute.internal import Usage, usage_by_host
from skywright.services.operations.listing import page
from skywright.services.operations.views import host_view

router = Router()

GroupName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
HOST_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
# Parts of ssh's command line: they must not be options.
CONNECTION = {
    "ansible_host": re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:%-]{0,254}"),
    "ansible_user": re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}"),
    "ansible_port": re.compile(r"[0-9]{1,5}"),
}
LAST_PORT = 65535
# The groups of every inventory.
IMPLICIT = frozenset({"all", "ungrouped"})


def _connects(variables: dict[str, Any]) -> dict[str, Any]:
    for name, pattern in CONNECTION.items():
        value = variables.get(name)
        if value is not None and not pattern.fullmatch(str(value)):
            raise ValueError(f"{name} is not valid")
    port = variables.get("ansible_port")
    if port is not None and not 1 <= int(port) <= LAST_PORT:
        raise ValueError("ansible_port is not valid")
    return variables


Reason = Annotated[str, Field(max_length=255), AfterValidator(plain)]
Variables = Annotated[dict[VariableName, Json], Field(max_length=256), AfterValidator(_connects)]


class HostBody(Strict):
    """The properties of a host in the inventory, and those that operators set. Missing ones stay as they are."""

    groups: Omittable[Annotated[list[GroupName], Field(max_length=64)]] = None
    variables: Omittable[Variables] = None
    state: Omittable[Literal["enabled", "disabled", "maintenance"]] = None
    disabled_reason: Reason | None = None  # null: no reason


class HostName(BaseModel):
    name: str = Field(pattern=HOST_NAME)


class DrainBody(Strict):
    reason: Reason | None = None


class HostRequest(Strict):
    host: HostBody


@router.operation("GET", "/hosts", policy="operations:hosts:list")
def list_hosts(context: Context) -> dict[str, Any]:
    used = usage_by_host(context.db)
    query = select(Host)
    hosts, links = page(context, query, [(Host.name, True)], scope=query, column=Host.name)
    return {"hosts": [host_view(host, used.get(host.name, Usage())) for host in hosts]} | links


@router.operation("GET", "/hosts/{name}", policy="operations:hosts:show")
def show_host(context: Context, name: str) -> dict[str, Any]:
    return {"host": _view(context, _host(context, name))}


@router.operation("PUT", "/hosts/{name}", policy="operations:hosts:update")
def put_host(context: Context, name: str, body: HostRequest) -> Response:
    """Register or change a host, and observe it."""
    name = _valid(name)
    host = context.db.get(Host, name)
    status = 200 if host else 201
    if host is None:
        host = Host(name=name)
        context.db.add(host)
    _apply(context, host, body.host)
    context.db.flush()
    _check_names(context, host)
    job = submit(context, "host", ACTION, [("host", name)], {"hosts": [name]})
    context.db.flush()
    return json_response({"host": _view(context, host), "job": {"id": job.id}}, status)


@router.operation("POST", "/hosts/{name}/drain", policy="operations:hosts:update")
def drain_host(context: Context, name: str, body: DrainBody) -> dict[str, Any]:
    """Put a host without servers into maintenance. Servers cannot be moved yet, so a host with servers is refused."""
    host = _host(context, name)
    bound = _bound_to(context, name)
    if bound:
        raise Conflict(f"Host {name} has servers, which cannot be moved: {', '.join(bound)}.")
    set_state(context.db, context.cloud, host, MAINTENANCE, body.reason)
    return {"host": _view(context, host)}


@router.operation("DELETE", "/hosts/{name}", policy="operations:hosts:delete", status=204)
def delete_host(context: Context, name: str) -> None:
    """Remove a host; nothing on it changes. Its network services move to other hosts, and jobs that wait for it end."""
    host = _host(context, name)
    if host.in_overcloud:
        raise Conflict(f"Host {name} is an overcloud's: remove it from the overcloud's plan.")
    bound = _bound_to(context, name)
    if bound:
        raise Conflict(f"Host {name} still has {', '.join(bound)}.")
    context.db.delete(host)
    context.db.flush()
    for kind in resource_kinds(context.cloud).values():
        kind.host_removed(context.db, name, context.cloud)
    release(context.db, context.cloud, name)


def _bound_to(context: Context, host: str) -> list[str]:
    """Return what would be lost with *host*."""
    kinds = resource_kinds(context.cloud).values()
    return [name for kind in kinds for name in kind.resources_bound_to(context.db, host)]


def _apply(context: Context, host: Host, body: HostBody) -> None:
    if body.groups is not None:
        if host.in_overcloud and OVERCLOUD not in body.groups:
            raise Conflict(f"Host {host.name} is an overcloud's: it cannot belong to this cloud, too.")
        if OVERCLOUD in body.groups and not host.in_overcloud:
            raise BadRequest(f"Only an overcloud's plan adds hosts to the group {OVERCLOUD}.")
        host.groups = sorted(set(body.groups) - IMPLICIT)
    if body.variables is not None:
        kept = host.variables or {}
        # A client that sends back what it was shown must not overwrite hidden values.
        host.variables = {k: kept.get(k, v) if v == HIDDEN else v for k, v in body.variables.items()}
    if body.disabled_reason is not None and (body.state or host.state or "enabled") == "enabled":
        raise BadRequest("A disabled_reason requires that the host's state is disabled or maintenance.")
    if body.state is not None:
        set_state(context.db, context.cloud, host, body.state, body.disabled_reason)
    elif "disabled_reason" in body.model_fields_set:
        host.disabled_reason = body.disabled_reason


def _check_names(context: Context, host: Host) -> None:
    """Refuse a host with the name of a group: Ansible would run a play for the group on this host alone."""
    rows = context.db.execute(select(Host.name, Host.groups)).all()
    names, groups = {row.name for row in rows}, {group for row in rows for group in row.groups} | IMPLICIT
    if clashing := sorted({host.name} & groups or names & set(host.groups)):
        raise BadRequest(f"A host and a group must not have the same name: {', '.join(clashing)}.")


def _view(context: Context, host: Host) -> dict[str, Any]:
    return host_view(host, usage_by_host(context.db).get(host.name, Usage()))


def _valid(name: str) -> str:
    try:
        return HostName(name=name).name
    except ValueError as error:
        raise BadRequest("A host's name has letters, digits, dots, dashes and underscores.") from error


def _host(context: Context, name: str) -> Host:
    host = context.db.get(Host, name)
    if host is None:
        raise NotFound.of("Host", name)
    return host

"""`/v1/hosts`: the machines that the cloud is made of, as an inventory describes them."""

from typing import Annotated, Any, Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import select

from skywright.db.compute import Server
from skywright.db.jobs import Host
from skywright.http import BadRequest, Conflict, Context, NotFound, Router
from skywright.http.router import json_response
from skywright.jobs.observe import ACTION
from skywright.jobs.submit import submit
from skywright.services.native.views import HIDDEN, host_view

router = Router()

GroupName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
HOST_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"


class HostBody(BaseModel):
    """What of a host is the inventory's or the operator's; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    groups: list[GroupName] | None = Field(None, max_length=64)
    variables: dict[VariableName, JsonValue] | None = Field(None, max_length=256)
    state: Literal["enabled", "disabled"] | None = None
    disabled_reason: str | None = Field(None, max_length=255)


class HostName(BaseModel):
    name: str = Field(pattern=HOST_NAME)


class HostRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    host: HostBody


@router.operation("GET", "/hosts", policy="operations:hosts:list")
def list_hosts(context: Context) -> dict[str, Any]:
    return {"hosts": [host_view(host) for host in context.db.scalars(select(Host).order_by(Host.name))]}


@router.operation("GET", "/hosts/{name}", policy="operations:hosts:show")
def show_host(context: Context, name: str) -> dict[str, Any]:
    return {"host": host_view(_host(context, name))}


@router.operation("PUT", "/hosts/{name}", policy="operations:hosts:update")
def put_host(context: Context, name: str, body: HostRequest) -> Response:
    """Register a host or change it, and have it looked at."""
    name = _valid(name)
    host = context.db.get(Host, name)
    status = 200 if host else 201
    if host is None:
        host = Host(name=name)
        context.db.add(host)
    _apply(host, body.host)
    context.db.flush()
    job = submit(context, "host", ACTION, [("host", name)], {"hosts": [name]})
    context.db.flush()
    return json_response({"host": host_view(host), "job": {"id": job.id}}, status)


@router.operation("DELETE", "/hosts/{name}", policy="operations:hosts:delete", status=204)
def delete_host(context: Context, name: str) -> None:
    """Forget a host; nothing on it changes."""
    host = _host(context, name)
    if context.db.scalar(select(Server.id).where(Server.host == name, Server.deleted_at.is_(None)).limit(1)):
        raise Conflict(f"Host {name} still has servers.")
    context.db.delete(host)


def _apply(host: Host, body: HostBody) -> None:
    if body.groups is not None:
        host.groups = sorted(set(body.groups) - {"all", "ungrouped"})
    if body.variables is not None:
        kept = host.variables or {}
        # A client that puts back what it was shown does not overwrite what it was not shown.
        host.variables = {k: kept.get(k, v) if v == HIDDEN else v for k, v in body.variables.items()}
    if body.state is not None:
        host.state = body.state
    if body.state == "enabled":
        host.disabled_reason = None
    elif body.disabled_reason is not None:
        host.disabled_reason = body.disabled_reason


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

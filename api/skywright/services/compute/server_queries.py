"""Which servers a list shows, and in which order: Nova's scope, sorting and paging, as SQL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.sql import ColumnElement
from starlette.datastructures import QueryParams

from skywright.http import BadRequest, Context, Forbidden, paging
from skywright.http.microversions import version_of
from skywright.http.paging import Order
from skywright.services.compute.listing import boolean_parameter, known_marker, page_limit
from skywright.services.compute.server_filters import KNOWN, filters, named
from skywright.services.compute.tables import Server

SORT_KEYS = {
    "access_ip_v4": Server.access_ipv4,
    "access_ip_v6": Server.access_ipv6,
    "availability_zone": Server.availability_zone,
    "config_drive": Server.config_drive,
    "created_at": Server.created_at,
    "display_description": Server.description,
    "display_name": Server.name,
    "host": Server.host,
    "hostname": Server.hostname,
    "image_ref": Server.image_id,
    "key_name": Server.key_name,
    "launch_index": Server.launch_index,
    "launched_at": Server.launched_at,
    "locked": Server.locked_by,
    "node": Server.host,
    "power_state": Server.power_state,
    "project_id": Server.project_id,
    "task_state": Server.task_state,
    "terminated_at": Server.deleted_at,
    "updated_at": Server.updated_at,
    "user_id": Server.user_id,
    "uuid": Server.id,
    "vm_state": Server.status,
}


class Page(NamedTuple):
    """A page of servers: its rows, a query of their ids, and the marker of the next page if there is one."""

    rows: Sequence[Row[Any]]
    query: Select[Any]
    following: str | None


def list_page(context: Context, columns: Sequence[Any]) -> Page:
    """The page of servers that the request asks for."""
    parameters = context.request.query_params
    if version_of(context) >= 75 and (unknown := set(parameters) - KNOWN):
        raise BadRequest(f"Additional properties are not allowed ({', '.join(sorted(unknown))} was unexpected)")
    base = _scope(context, parameters)
    condition = and_(base, *filters(context, parameters))
    order = _order(context, parameters)
    if "name" in parameters or "display_name" in parameters:
        pattern = parameters.get("name") or parameters.get("display_name") or ""
        condition = and_(condition, named(context, pattern, condition))
    limit = page_limit(parameters)
    query: Select[Any] = select(*columns).where(condition)
    with known_marker(parameters) as marker:
        row = None if marker is None else select(Server).where(base, Server.id == marker)
        query = paging.statement(context.db, query, order, marker=row, limit=limit)
    # Past the session: its rows of columns cost twice as much.
    rows, more = paging.cut(context.db.connection().execute(query).all(), limit)
    return Page(rows, query.with_only_columns(Server.id).limit(limit), rows[-1].id if more else None)


def _scope(context: Context, parameters: QueryParams) -> ColumnElement[bool]:
    """The caller's project, or all, or another one for administrators; deleted servers only when asked for."""
    project = parameters.get("project_id") or parameters.get("tenant_id")
    everything = boolean_parameter(parameters.get("all_tenants") or "1", "all_tenants") and "all_tenants" in parameters
    conditions: list[ColumnElement[bool]] = []
    if everything:
        context.enforce(f"{context.rules[0]}:get_all_tenants")
        if project:
            conditions.append(Server.project_id == project)
    else:
        conditions.append(Server.project_id == context.project_id)
    status = [value.upper() for value in parameters.getlist("status")]
    if "DELETED" in status and not context.is_admin:
        raise Forbidden("Only administrators may list deleted instances")
    deleted = parameters.get("deleted")
    if deleted is not None and context.is_admin:
        gone = boolean_parameter(deleted, "deleted")
        conditions.append(Server.deleted_at.is_not(None) if gone else Server.deleted_at.is_(None))
    elif "changes-since" not in parameters and "DELETED" not in status:
        conditions.append(Server.deleted_at.is_(None))
    return and_(*conditions)


def _order(context: Context, parameters: QueryParams) -> Order:
    """The wanted sort keys, made total by the id."""
    keys = parameters.getlist("sort_key") or ["created_at"]
    directions = parameters.getlist("sort_dir")
    if any(direction not in ("asc", "desc") for direction in directions) or len(directions) > len(keys):
        raise BadRequest("Unknown sort direction, must be one of: asc, desc")
    unknown = [key for key in keys if key not in SORT_KEYS or (key == "locked" and version_of(context) < 73)]
    if unknown or len(keys) > 10:
        raise BadRequest(f"Invalid input for query parameters sort_key. Value: {', '.join(keys)[:255]}.")
    default = directions[0] if directions else "desc"
    directions += [default] * (len(keys) - len(directions))
    order = [(SORT_KEYS[key], direction == "asc") for key, direction in zip(keys, directions, strict=True)]
    return [*order, (Server.id, order[-1][1])]

"""Which servers a list shows, and in which order: Nova's scope, sorting and paging, as SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import DateTime, Row, Select, and_, func, or_, select
from sqlalchemy.sql import ColumnElement
from starlette.datastructures import QueryParams

from skywright.http import BadRequest, Context, Forbidden
from skywright.http.microversions import version_of
from skywright.services.compute.server_filters import KNOWN, filters, named
from skywright.services.compute.tables import Server
from skywright.services.compute.validation import boolean_parameter, page_limit

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
    if marker := parameters.get("marker"):
        query = query.where(_after(context, base, marker, order))
    query = query.order_by(*(_directed(column, descending) for column, descending in order)).limit(limit + 1)
    # Past the session: its rows of columns cost twice as much.
    rows = context.db.connection().execute(query).all()
    following = rows[limit - 1].id if len(rows) > limit > 0 else None
    return Page(rows[:limit], query.with_only_columns(Server.id).limit(limit), following)


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


def _order(context: Context, parameters: QueryParams) -> list[tuple[Any, bool]]:
    """[(column, descending)] of the wanted sort keys, made total by the id."""
    keys = parameters.getlist("sort_key") or ["created_at"]
    directions = parameters.getlist("sort_dir")
    if any(direction not in ("asc", "desc") for direction in directions) or len(directions) > len(keys):
        raise BadRequest("Unknown sort direction, must be one of: asc, desc")
    unknown = [key for key in keys if key not in SORT_KEYS or (key == "locked" and version_of(context) < 73)]
    if unknown or len(keys) > 10:
        raise BadRequest(f"Invalid input for query parameters sort_key. Value: {', '.join(keys)[:255]}.")
    default = directions[0] if directions else "desc"
    directions += [default] * (len(keys) - len(directions))
    order = [(SORT_KEYS[key], direction == "desc") for key, direction in zip(keys, directions, strict=True)]
    return [*order, (Server.id, order[-1][1])]


def _comparable(column: Any) -> Any:
    """NULL would take part in no comparison."""
    if not column.expression.nullable:
        return column
    return func.coalesce(column, datetime.min if isinstance(column.type, DateTime) else "")


def _directed(column: Any, descending: bool) -> Any:
    return _comparable(column).desc() if descending else _comparable(column).asc()


def _after(
    context: Context, scope: ColumnElement[bool], marker: str, order: Sequence[tuple[Any, bool]]
) -> ColumnElement[bool]:
    """The rows behind the row *marker* in *order*."""
    columns = [_comparable(column) for column, _ in order]
    row = context.db.execute(select(*columns).where(scope, Server.id == marker)).first()
    if row is None:
        raise BadRequest(f"marker [{marker}] not found")
    alternatives = []
    for index, (_, descending) in enumerate(order):
        beyond = columns[index] < row[index] if descending else columns[index] > row[index]
        equal = [column == value for column, value in zip(columns[:index], row[:index], strict=True)]
        alternatives.append(and_(*equal, beyond))
    return or_(*alternatives)

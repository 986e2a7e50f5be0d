"""Scope, order and pages of server lists, as SQL."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, select, true
from starlette.datastructures import QueryParams

from skywright.http import BadRequest, Context, Forbidden, fields, paging
from skywright.http.microversions import version_of
from skywright.http.paging import Clause, Order
from skywright.services.compute.listing import (
    PAGING,
    boolean_parameter,
    known_marker,
    moment_parameter,
    page_limit,
    parameters,
)
from skywright.services.compute.server_filters import ALL_FILTERS, FILTERS, JOINED, filters, shown_zone
from skywright.services.compute.tables import Server

SORT_KEYS: dict[str, Any] = {
    "access_ip_v4": Server.access_ipv4,
    "access_ip_v6": Server.access_ipv6,
    "auto_disk_config": Server.disk_config,
    "availability_zone": Server.availability_zone,
    "config_drive": Server.config_drive,
    "created_at": Server.created_at,
    "display_description": Server.description,
    "display_name": Server.name,
    "host": Server.host,
    "hostname": Server.hostname,
    "image_ref": Server.image_id,
    "instance_type_id": Server.flavor["id"].as_string(),
    "key_name": Server.key_name,
    "launch_index": Server.launch_index,
    "launched_at": Server.launched_at,
    "locked": Server.locked_by,
    "locked_by": Server.locked_by,
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
# Columns that are the same for all servers.
UNSORTED = frozenset({"kernel_id", "progress", "ramdisk_id", "root_device_name"})
# Sort keys that Nova ignores until 2.74 and refuses later.
FORMER = frozenset(
    {
        "architecture",
        "cell_name",
        "cleaned",
        "default_ephemeral_device",
        "default_swap_device",
        "deleted",
        "deleted_at",
        "disable_terminate",
        "ephemeral_gb",
        "ephemeral_key_uuid",
        "id",
        "key_data",
        "launched_on",
        "memory_mb",
        "os_type",
        "reservation_id",
        "root_gb",
        "shutdown_terminate",
        "user_data",
        "vcpus",
        "vm_mode",
    }
)
FOR_ADMINISTRATORS = frozenset({"host", "node"})
SCOPE = frozenset({"all_tenants", "project_id", "tenant_id", "status", "deleted", "soft_deleted"})
KNOWN = PAGING | SCOPE | JOINED | FILTERS.keys() | {"sort_key", "sort_dir"}


class Page(NamedTuple):
    """A page of servers: its rows, a query of their ids, and the marker of the next page, if there is one."""

    rows: Sequence[Row[Any]]
    query: Select[Any]
    following: str | None


def list_page(context: Context, columns: Sequence[Any]) -> Page:
    """Return the page of servers that the request asks for."""
    internal = {name for name in context.request.query_params if name.startswith("_")}  # refused, like JOINED
    wanted = parameters(context, KNOWN | internal)
    base, order = _scope(context, wanted), _order(context, wanted)
    limit = page_limit(wanted)
    query: Select[Any] = select(*columns).where(filters(context, wanted, base))
    with known_marker(wanted) as marker:
        row = None if marker is None else select(Server).where(base, Server.id == marker)
        query = paging.statement(context.db, query, order, marker=row, limit=limit)
    # Not through the session, which doubles the time for rows of columns.
    rows, more = paging.cut(context.db.connection().execute(query).all(), limit)
    return Page(rows, query.with_only_columns(Server.id).limit(limit), rows[-1].id if more else None)


def _scope(context: Context, wanted: QueryParams) -> Clause:
    """Return the clause for the caller's project, all projects or another one (administrators), and deleted servers."""
    conditions: list[Clause] = []
    if "all_tenants" in wanted and (
        not wanted["all_tenants"] or boolean_parameter(wanted["all_tenants"], "all_tenants")
    ):
        context.enforce(f"{context.rules[0]}:get_all_tenants")
        project = wanted.get("project_id") or wanted.get("tenant_id")
        conditions += [Server.project_id == project] if project else []
    else:
        conditions.append(Server.project_id == context.project_id)
    deleted = _deleted(context, wanted)
    if deleted is not None:
        conditions.append(Server.deleted_at.is_not(None) if deleted else Server.deleted_at.is_(None))
    return and_(true(), *conditions)


def _deleted(context: Context, wanted: QueryParams) -> bool | None:
    """Return whether to list deleted servers, not deleted ones, or both (None)."""
    if {value.upper() for value in wanted.getlist("status")} == {"DELETED"}:
        if not context.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        return True
    if "deleted" in wanted and context.allows(ALL_FILTERS):
        return fields.boolean(wanted["deleted"], default=False)
    version = version_of(context)
    since, before = (
        moment_parameter(wanted[name], name) if name in wanted and version >= first else None
        for name, first in (("changes-since", 1), ("changes-before", 66))
    )
    if since and before and before < since:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    return None if since or before else False


def _order(context: Context, wanted: QueryParams) -> Order:
    """Return the requested sort keys; the id makes the order total."""
    version = version_of(context)
    former = FORMER if version >= 73 else FORMER | {"locked"}
    ignored = UNSORTED if version >= 75 else UNSORTED | former
    keys = [key.strip() for key in wanted.getlist("sort_key")] or ["created_at"]
    directions = [direction.strip() for direction in wanted.getlist("sort_dir")]
    unknown = [key for key in keys if key not in ignored and (key not in SORT_KEYS or key in former)]
    if unknown or len(keys) > 10:
        raise BadRequest(f"Invalid input for query parameters sort_key. Value: {', '.join(unknown or keys)[:255]}.")
    if any(direction not in ("asc", "desc") for direction in directions):
        raise BadRequest("Unknown sort direction, must be one of: asc, desc")
    if len(directions) > len(keys):
        raise BadRequest("Sort direction size exceeds sort key size")
    for key in FOR_ADMINISTRATORS & set(keys):
        if not context.is_admin:
            raise Forbidden(f"Only administrators can sort servers by {key}")
    default = directions[0] if directions else "desc"
    directions += [default] * (len(keys) - len(directions))
    columns = SORT_KEYS | ({"availability_zone": shown_zone(context.db)} if "availability_zone" in keys else {})
    pairs = [(key, way) for key, way in zip(keys, directions, strict=True) if key not in ignored]
    order = [(columns[key], way == "asc") for key, way in pairs]
    ties = [Server.id] if "created_at" in keys else [Server.created_at, Server.id]
    return [*order, *((tie, default == "asc") for tie in ties)]

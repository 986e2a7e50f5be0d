"""Nova's filters of server lists, as SQL."""

import json
from collections.abc import Callable, Mapping, Sequence

import re2
from sqlalchemy import Text, and_, false, func, or_, select, type_coerce
from sqlalchemy.sql import ColumnElement
from starlette.datastructures import QueryParams

from skywright.http import BadRequest, Context
from skywright.http.microversions import version_of
from skywright.services.compute.listing import boolean_parameter, moment_parameter
from skywright.services.compute.server_views import REBOOTS
from skywright.services.compute.tables import Server
from skywright.services.network.internal import Address, Port

# What the public status of a server says about the columns.
STATUSES: dict[str, ColumnElement[bool]] = {
    "ACTIVE": and_(Server.status == "ACTIVE", func.coalesce(Server.task_state, "").not_in(REBOOTS)),
    "BUILD": Server.status == "BUILD",
    "SHUTOFF": Server.status == "SHUTOFF",
    "ERROR": Server.status == "ERROR",
    "DELETED": Server.status == "DELETED",
    "REBOOT": and_(Server.status == "ACTIVE", Server.task_state == "rebooting"),
    "HARD_REBOOT": and_(Server.status == "ACTIVE", Server.task_state == "rebooting_hard"),
}
# Statuses that Nova has and no server here ever gets: valid to ask for, and nothing has them.
OTHER_STATUSES = frozenset(
    {
        "MIGRATING",
        "PASSWORD",
        "PAUSED",
        "REBUILD",
        "RESCUE",
        "RESIZE",
        "REVERT_RESIZE",
        "SHELVED",
        "SHELVED_OFFLOADED",
        "SOFT_DELETED",
        "SUSPENDED",
        "UNKNOWN",
        "VERIFY_RESIZE",
    }
)
VM_STATUSES = {"active": "ACTIVE", "building": "BUILD", "stopped": "SHUTOFF", "error": "ERROR", "deleted": "DELETED"}
EQUAL = {
    "image": Server.image_id,
    "image_ref": Server.image_id,
    "reservation_id": Server.reservation_id,
    "task_state": Server.task_state,
    "user_id": Server.user_id,
    "key_name": Server.key_name,
    "availability_zone": Server.availability_zone,
    "hostname": Server.hostname,
    "description": Server.description,
    "uuid": Server.id,
    "host": Server.host,
    "node": Server.host,
}
ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
ADMIN_ONLY = frozenset({"host", "node", "hostname", "uuid", "description"})
# Filters that everyone may use since 2.83 only.
LATER = frozenset({"availability_zone", "config_drive", "key_name", "power_state", "task_state", "vm_state", "user_id"})
TAGS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})
KNOWN = (
    frozenset(EQUAL)
    | LATER
    | TAGS
    | {"name", "display_name", "display_description", "status", "flavor", "ip", "ip6", "changes-since"}
    | {"changes-before", "all_tenants", "tenant_id", "project_id", "deleted", "soft_deleted", "locked", "limit"}
    | {"marker", "sort_key", "sort_dir", "created_at", "launched_at", "terminated_at", "progress", "launch_index"}
    | {"root_device_name", "kernel_id", "ramdisk_id", "instance_name", "metadata", "system_metadata"}
    | {"access_ip_v4", "access_ip_v6", "auto_disk_config", "cell_name"}
)
UNSUPPORTED = frozenset({"metadata", "system_metadata", "instance_name", "progress", "cell_name", "soft_deleted"})


def filters(context: Context, parameters: QueryParams) -> list[ColumnElement[bool]]:
    """What the query's filters ask for; those that the caller may not use, or not yet, are left out."""
    version, conditions, unlimited = version_of(context), [], context.allows(ALL_FILTERS)
    for name in set(parameters) & KNOWN:
        value = parameters[name]
        hidden = name in ADMIN_ONLY or (name in LATER and version < 83)
        if hidden and not unlimited:
            continue
        if name in EQUAL:
            conditions.append(EQUAL[name] == value.rsplit("/", 1)[-1] if name == "image" else EQUAL[name] == value)
        elif name in UNSUPPORTED and unlimited and name != "soft_deleted":
            raise BadRequest(f"Servers cannot be filtered by {name}.")
        elif name in FILTERS:
            conditions.append(FILTERS[name](context, value))
        elif name in TAGS and version >= 26:
            conditions.append(_tags(name, value))
    if "status" in parameters:
        conditions.append(_status(context, parameters.getlist("status")))
    return conditions


def _status(context: Context, values: Sequence[str]) -> ColumnElement[bool]:
    wanted = [value.upper() for value in values]
    unknown = [value for value in wanted if value not in STATUSES and value not in OTHER_STATUSES]
    if unknown and version_of(context) >= 38:
        raise BadRequest("Invalid status value")
    return or_(false(), *(STATUSES[value] for value in wanted if value in STATUSES))


def _tags(name: str, value: str) -> ColumnElement[bool]:
    text = type_coerce(Server.tags, Text)
    # Tags are stored as JSON: each stands there in quotes, and a quote within one is escaped.
    held = [func.instr(text, json.dumps(tag)) > 0 for tag in value.split(",")]
    return {
        "tags": and_(*held),
        "tags-any": or_(*held),
        "not-tags": ~and_(*held),
        "not-tags-any": ~or_(*held),
    }[name]


def _power_state(context: Context, value: str) -> ColumnElement[bool]:
    if not value.isascii() or not value.isdigit() or len(value) > 2:
        raise BadRequest(f"Invalid input for query parameters power_state. Value: {value}.")
    return Server.power_state == int(value)


def _locked(context: Context, value: str) -> ColumnElement[bool]:
    if version_of(context) < 73:
        return Server.id.is_not(None)
    wanted = boolean_parameter(value, "locked")
    return Server.locked_by.is_not(None) if wanted else Server.locked_by.is_(None)


def _before(context: Context, value: str) -> ColumnElement[bool]:
    if version_of(context) < 66:
        return Server.id.is_not(None)
    return Server.updated_at <= moment_parameter(value, "changes-before")


def _flavor(context: Context, value: str) -> ColumnElement[bool]:
    identifier: ColumnElement[str] = Server.flavor["id"].as_string()
    return identifier == value.rsplit("/", 1)[-1]


def _address(context: Context, value: str) -> ColumnElement[bool]:
    """Servers with an address that the expression *value* is found in."""
    matches = _expression(value)
    query = select(Port.device_id, Address.ip_address).join(Address, Address.port_id == Port.id)
    query = query.where(Port.device_id != "")
    if not context.is_admin:
        query = query.where(Port.project_id == context.project_id)
    found = {device for device, ip in context.db.execute(query) if matches(ip)}
    return Server.id.in_(found)


FILTERS: Mapping[str, Callable[[Context, str], ColumnElement[bool]]] = {
    "flavor": _flavor,
    "ip": _address,
    "ip6": _address,
    "power_state": _power_state,
    "locked": _locked,
    "changes-before": _before,
    "changes-since": lambda context, value: Server.updated_at >= moment_parameter(value, "changes-since"),
    "vm_state": lambda context, value: Server.status == VM_STATUSES.get(value, value),
    "config_drive": lambda context, value: Server.config_drive == boolean_parameter(value, "config_drive"),
}


def named(context: Context, pattern: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Servers whose name the regular expression *pattern* is found in."""
    matches = _expression(pattern)
    candidates = context.db.execute(select(Server.id, Server.name).where(condition))
    return Server.id.in_([identifier for identifier, name in candidates if matches(name)])


def _expression(pattern: str) -> Callable[[str], bool]:
    """Whether *pattern* is found in a text. RE2: its time is bounded, whatever a user thinks up."""
    options = re2.Options()
    options.never_nl = False
    options.log_errors = False
    options.case_sensitive = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise BadRequest(f"Invalid regular expression: {pattern}") from error
    return lambda text: compiled.search(text) is not None

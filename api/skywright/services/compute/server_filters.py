"""Nova's filters of server lists, as SQL. https://docs.openstack.org/api-ref/compute/#list-servers"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, true
from sqlalchemy.orm import Session
from starlette.datastructures import QueryParams

from skywright.db.jobs import Host
from skywright.http import BadRequest, Context, fields, tags
from skywright.http.microversions import version_of
from skywright.http.paging import Clause
from skywright.services.compute.listing import boolean_parameter, moment_parameter
from skywright.services.compute.patterns import pattern
from skywright.services.compute.scheduler import zone_of
from skywright.services.compute.server_fields import ROOT_DEVICE, Show, moment, usage_moment
from skywright.services.compute.server_views import REBOOTS, VM_STATES
from skywright.services.compute.tables import Server
from skywright.services.network.internal import Address, Port

ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
# Tables that Nova joins to the servers': it accepts their names as parameters, but refuses them as filters.
JOINED = frozenset(
    {
        "block_device_mapping",
        "services",
        "metadata",
        "system_metadata",
        "info_cache",
        "security_groups",
        "pci_devices",
    }
)
# The clauses of the public statuses.
STATUSES: dict[str, Clause] = {
    "ACTIVE": and_(Server.status == "ACTIVE", func.coalesce(Server.task_state, "").not_in(REBOOTS)),
    "BUILD": Server.status == "BUILD",
    "SHUTOFF": Server.status == "SHUTOFF",
    "ERROR": Server.status == "ERROR",
    "DELETED": Server.status == "DELETED",
    "REBOOT": and_(Server.status == "ACTIVE", Server.task_state == "rebooting"),
    "HARD_REBOOT": and_(Server.status == "ACTIVE", Server.task_state == "rebooting_hard"),
}
# Statuses of Nova that servers here never have. They are valid filters that match nothing.
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
        "VERIFY_RESIZE",
    }
)
COLUMNS = {vm_state: status for status, vm_state in VM_STATES.items()}


class FilterParameter(NamedTuple):
    """A parameter of the query, and the other conditions for servers."""

    context: Context
    name: str
    value: str
    scope: Clause


class Filter(NamedTuple):
    """A filter that exists since the microversion *since*.

    All users may use it since the microversion *everyone*, and before only those whom ALL_FILTERS allows. For other
    users it is ignored, as in Nova.
    """

    selects: Callable[[FilterParameter], Clause]
    everyone: int | None = None
    since: int = 1
    is_pattern: bool = False


def filters(context: Context, parameters: QueryParams, scope: Clause) -> Clause:
    """Return the clause for the servers in *scope* that match the query's filters.

    Raises BadRequest for invalid values and for names that are no filters.
    """
    version, unlimited = version_of(context), context.allows(ALL_FILTERS)
    refused = sorted(name for name in set(parameters) if name in JOINED or name.startswith("_"))
    if refused and unlimited:
        raise BadRequest(f"Invalid filter field: {refused[0]}.")
    found = scope
    # Patterns are matched in Python, in as few rows as possible.
    for name in sorted(set(parameters) & FILTERS.keys(), key=lambda name: FILTERS[name].is_pattern):
        parameter, each = FilterParameter(context, name, parameters[name], found), FILTERS[name]
        if each.is_pattern:
            pattern(name, parameter.value)
        allowed = unlimited or (each.everyone is not None and version >= each.everyone)
        if allowed and version >= each.since:
            found = and_(found, each.selects(parameter))
    if "status" in parameters:
        found = and_(found, _status(context, parameters.getlist("status")))
    return found


def shown_zone(session: Session) -> ColumnElement[str]:
    """Return the availability zone that a server shows: its host's or, without a host, the requested one."""
    hosts: dict[str, list[str]] = {}
    for host in session.scalars(select(Host)):
        hosts.setdefault(zone_of(host), []).append(host.name)
    asked_for = (Server.host.is_(None), func.coalesce(Server.availability_zone, ""))
    return case(asked_for, *((Server.host.in_(names), zone) for zone, names in hosts.items()), else_="")


def _status(context: Context, values: Sequence[str]) -> Clause:
    wanted = {value.upper() for value in values}
    if not wanted & (STATUSES.keys() | OTHER_STATUSES) and version_of(context) >= 38:
        raise BadRequest("Invalid status value")
    return or_(false(), *(STATUSES[value] for value in wanted & STATUSES.keys()))


def _exact(column: Any, everyone: int | None = None, read: Callable[[str], Any] = str) -> Filter:
    """Return a filter for servers whose *column* equals the value, converted by *read*."""

    def selects(parameter: FilterParameter) -> Clause:
        try:
            return or_(column == read(parameter.value))
        except ValueError:
            return false()

    return Filter(selects, everyone)


def _like(column: Any, everyone: int | None = None, show: Callable[[Any], str | None] = str) -> Filter:
    """Return a filter for servers whose *column*, as shown, matches the pattern."""

    def selects(parameter: FilterParameter) -> Clause:
        matches = pattern(parameter.name, parameter.value)
        rows = parameter.context.db.execute(select(Server.id, column).where(parameter.scope, column.is_not(None)))
        return Server.id.in_([identifier for identifier, held in rows if matches(show(held) or "")])

    return Filter(selects, everyone, is_pattern=True)


def _constant(text: str, everyone: int | None = None) -> Filter:
    """Return a filter for the constant *text*, which matches the pattern for all servers or for none."""

    def selects(parameter: FilterParameter) -> Clause:
        return true() if pattern(parameter.name, parameter.value)(text) else false()

    return Filter(selects, everyone, is_pattern=True)


def _moment(column: Any, everyone: int, show: Show) -> Filter:
    """Return a filter for a time; a value that is not a date and time is a pattern for the shown text."""
    like = _like(column, everyone, show)

    def selects(parameter: FilterParameter) -> Clause:
        try:
            wanted = fields.moment(parameter.value) if ":" in parameter.value else None
        except ValueError:
            wanted = None
        if wanted is None:
            return like.selects(parameter)
        return fields.within(column, wanted)

    return Filter(selects, everyone, is_pattern=True)


def _flag(true_clause: Clause, everyone: int | None = None, since: int = 1) -> Filter:
    """Return a filter for servers that match the clause (true) or do not (false)."""

    def selects(parameter: FilterParameter) -> Clause:
        return true_clause if boolean_parameter(parameter.value, parameter.name) else ~true_clause

    return Filter(selects, everyone, since)


def _zone(parameter: FilterParameter) -> Clause:
    shown, matches = shown_zone(parameter.context.db), pattern(parameter.name, parameter.value)
    zones = parameter.context.db.scalars(select(shown).where(parameter.scope).distinct())
    return shown.in_([zone for zone in zones if matches(zone)])


def _address(parameter: FilterParameter) -> Clause:
    matches = pattern(parameter.name, parameter.value)
    query = select(Port.device_id, Address.ip_address).join(Address, Address.port_id == Port.id)
    found = parameter.context.db.execute(query.where(Port.device_id.in_(select(Server.id).where(parameter.scope))))
    return Server.id.in_({device for device, address in found if matches(address)})


def _tags(parameter: FilterParameter) -> Clause:
    return tags.clause(parameter.name, parameter.value.split(","), tags.among(Server.tags))


def _changed_before(parameter: FilterParameter) -> Clause:
    return Server.updated_at < fields.end_of(moment_parameter(parameter.value, parameter.name))


def _disk_config(parameter: FilterParameter) -> Clause:
    """Match AUTO and MANUAL, or a boolean that means AUTO."""
    word = parameter.value.upper()
    if word not in ("AUTO", "MANUAL"):
        word = "AUTO" if boolean_parameter(parameter.value, parameter.name) else "MANUAL"
    return or_(Server.disk_config == word)


def _status_of(vm_state: str) -> str:
    return COLUMNS.get(vm_state.lower(), "")


def _last_part(reference: str) -> str:
    """Return the id at the end of a URL."""
    return reference.rsplit("/", 1)[-1]


FILTERS: Mapping[str, Filter] = {
    "name": _like(Server.name, 1),
    "reservation_id": _like(Server.reservation_id, 1),
    "image": _exact(Server.image_id, 1, _last_part),
    "flavor": _exact(Server.flavor["id"].as_string(), 1, _last_part),
    "ip": Filter(_address, 1, is_pattern=True),
    "ip6": Filter(_address, 5, is_pattern=True),
    "changes-since": Filter(
        lambda parameter: Server.updated_at >= moment_parameter(parameter.value, parameter.name), 1
    ),
    "changes-before": Filter(_changed_before, 66, 66),
    "locked": _flag(Server.locked_by.is_not(None), 73, 73),
    **{name: Filter(_tags, 26, 26) for name in tags.FILTERS},
    "availability_zone": Filter(_zone, 83, is_pattern=True),
    "config_drive": _flag(Server.config_drive.is_(True), 83),
    "key_name": _like(Server.key_name, 83),
    "created_at": _moment(Server.created_at, 83, moment),
    "launched_at": _moment(Server.launched_at, 83, usage_moment),
    "terminated_at": _moment(Server.deleted_at, 83, usage_moment),
    "power_state": _exact(Server.power_state, 83, fields.natural),
    "task_state": _exact(Server.task_state, 83),
    "vm_state": _exact(Server.status, 83, _status_of),
    "progress": _constant("0", 83),
    "user_id": _exact(Server.user_id, 83),
    "hostname": _like(Server.hostname, 90),
    "display_name": _like(Server.name),
    "description": _like(Server.description),
    "display_description": _like(Server.description),
    "image_ref": _exact(Server.image_id, read=_last_part),
    "uuid": _exact(Server.id),
    "host": _exact(Server.host),
    "node": _like(Server.host),
    "launch_index": _exact(Server.launch_index, read=fields.natural),
    "locked_by": _like(Server.locked_by),
    "access_ip_v4": _like(Server.access_ipv4),
    "access_ip_v6": _like(Server.access_ipv6),
    "auto_disk_config": Filter(_disk_config),
    "root_device_name": _constant(ROOT_DEVICE),
    "kernel_id": _constant(""),
    "ramdisk_id": _constant(""),
}

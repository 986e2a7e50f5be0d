"""How servers look, at every microversion. Lists read plain columns: no object per row, no query per server."""

import hashlib
from collections import namedtuple
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

import orjson
from sqlalchemy import JSON, DateTime, Row, Select, String, Text, select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from skywright.db.compute import Server
from skywright.db.jobs import Host
from skywright.db.network import Address, Network, Port
from skywright.http import Context
from skywright.jobs.scheduler import zone_of
from skywright.services.compute.microversions import version_of

VM_STATES = {"BUILD": "building", "ACTIVE": "active", "SHUTOFF": "stopped", "ERROR": "error", "DELETED": "deleted"}
IN_PROGRESS = frozenset({"ACTIVE", "BUILD"})
REBOOTS = {"rebooting": "REBOOT", "rebooting_hard": "HARD_REBOOT"}


def _raw(column: Any) -> ColumnElement[Any]:
    """JSON columns as the text they are stored as, moments as the driver has them: parsing each is what costs."""
    if isinstance(column.type, JSON):
        return type_coerce(column, Text).label(column.key)
    return type_coerce(column, String).label(column.key) if isinstance(column.type, DateTime) else column


ALWAYS = (
    "id",
    "name",
    "status",
    "task_state",
    "power_state",
    "project_id",
    "user_id",
    "properties",
    "host",
    "image_id",
    "flavor",
    "created_at",
    "updated_at",
    "launched_at",
    "deleted_at",
    "access_ipv4",
    "access_ipv6",
    "disk_config",
    "fault",
    "config_drive",
    "key_name",
)
# Columns that are only shown since a microversion, or to administrators.
SINCE = {"locked_by": 9, "description": 19, "tags": 26, "locked_reason": 73, "hostname": 90, "availability_zone": 96}
ADMINISTRATIVE = ("reservation_id", "launch_index", "hostname", "user_data")


@cache
def _shape(version: int, admin: bool) -> tuple[list[ColumnElement[Any]], Any]:
    """The columns that views need, and a named tuple of them: a database row takes ten times as long to read."""
    names = [*ALWAYS, *(name for name, first in SINCE.items() if version >= first)]
    names += [name for name in ADMINISTRATIVE if admin and name not in names]
    return [_raw(Server.__table__.columns[name]) for name in names], namedtuple("Record", names)


def columns_of(context: Context) -> list[ColumnElement[Any]]:
    """What to select for the views of *context*."""
    return _shape(version_of(context), context.is_admin)[0]


def moment(value: Any) -> str | None:
    """A stored moment (text in SQLite, a datetime elsewhere) as `2026-11-20T10:00:00Z`."""
    if isinstance(value, str):
        return f"{value[:10]}T{value[11:19]}Z"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else None


def public_status(status: str, task_state: str | None) -> str:
    """The API's status: an active server that is being rebooted says so."""
    return REBOOTS.get(task_state or "", status) if status == "ACTIVE" else status


@lru_cache(maxsize=4096)
def host_id(project_id: str, host: str | None) -> str:
    """The opaque name of a host, another one for each project."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


@lru_cache(maxsize=1024)
def _embedded_flavor(text: str) -> orjson.Fragment:
    flavor = orjson.loads(text)
    view = {key: flavor[key] for key in ("vcpus", "ram", "disk", "ephemeral", "swap", "extra_specs")}
    return orjson.Fragment(orjson.dumps(view | {"original_name": flavor["name"]}))


@lru_cache(maxsize=1024)
def _linked_flavor(text: str, base: str) -> orjson.Fragment:
    identifier = orjson.loads(text)["id"]
    link = {"rel": "bookmark", "href": f"{base}/flavors/{identifier}"}
    return orjson.Fragment(orjson.dumps({"id": identifier, "links": [link]}))


def addresses_of(
    session: Session, servers: Sequence[str] | Select[Any], *, types: bool
) -> dict[str, dict[str, list[Any]]]:
    """{server id: {network name: [address]}} of all the servers, given by their ids or by a query, in one query."""
    query = (
        select(Port.device_id, Network.name, Address.ip_address, Port.mac_address)
        .join(Network, Network.id == Port.network_id)
        .join(Address, Address.port_id == Port.id)
        .order_by(Port.created_at, Port.id, Address.ip_address)
    )
    if isinstance(servers, Select):
        page = servers.subquery()
        query = query.join(page, page.c.id == Port.device_id)
    else:
        query = query.where(Port.device_id.in_(servers))
    found: dict[str, dict[str, list[Any]]] = {}
    for server_id, network, ip, mac in session.connection().execute(query).all():
        entry = {"version": 6 if ":" in ip else 4, "addr": ip}
        if types:
            entry["OS-EXT-IPS:type"] = "fixed"
            entry["OS-EXT-IPS-MAC:mac_addr"] = mac
        found.setdefault(server_id, {}).setdefault(network, []).append(entry)
    return found


def links_of(base: str, server_id: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base}/v2.1/servers/{server_id}"},
        {"rel": "bookmark", "href": f"{base}/servers/{server_id}"},
    ]


class ServerViews:
    """Views of many servers for one request. *full* false: the brief form that PUT answers before 2.75."""

    def __init__(self, context: Context, *, listing: bool, full: bool = True) -> None:
        self.session = context.db
        self.base = context.base_url
        self.version = version_of(context)
        self.admin = context.is_admin
        self.listing = listing
        self.full = full
        self._record = _shape(self.version, self.admin)[1]
        self._zones: dict[str, str] = {}
        self._host_status: dict[str, str] = {}

    def render(self, rows: Iterable[Row[Any]], page: Select[Any] | None = None) -> list[dict[str, Any]]:
        """The views of *rows*, which have `columns_of`; *page* is a query of their ids."""
        records = [self._record._make(row) for row in rows]
        ids = [record.id for record in records]
        addresses = addresses_of(self.session, ids if page is None else page, types=self.full)
        for host in self.session.scalars(select(Host)):
            self._zones[host.name] = zone_of(host)
            disabled = host.state != "enabled"
            self._host_status[host.name] = "MAINTENANCE" if disabled else "UP" if host.up else "DOWN"
        return [self._view(record, addresses.get(record.id, {})) for record in records]

    def _view(self, row: Any, addresses: dict[str, list[Any]]) -> dict[str, Any]:
        status = public_status(row.status, row.task_state)
        view = {
            "id": row.id,
            "name": row.name,
            "status": status,
            "tenant_id": row.project_id,
            "user_id": row.user_id,
            "metadata": orjson.Fragment(row.properties),
            "hostId": host_id(row.project_id, row.host),
            "image": self._image(row.image_id),
            "flavor": _embedded_flavor(row.flavor) if self.version >= 47 else _linked_flavor(row.flavor, self.base),
            "created": moment(row.created_at),
            "updated": moment(row.updated_at),
            "addresses": addresses,
            "accessIPv4": row.access_ipv4,
            "accessIPv6": row.access_ipv6,
            "links": links_of(self.base, row.id),
            "OS-DCF:diskConfig": row.disk_config,
        }
        if status in IN_PROGRESS:
            view["progress"] = 0
        if row.status in ("ERROR", "DELETED") and row.fault and row.fault != "null":
            view["fault"] = self._fault(orjson.loads(row.fault))
        self._versioned(view, row)
        if self.full:
            self._extended(view, row)
        return view

    def _image(self, image_id: str | None) -> Any:
        if image_id is None:
            return ""
        return {"id": image_id, "links": [{"rel": "bookmark", "href": f"{self.base}/images/{image_id}"}]}

    def _fault(self, fault: dict[str, Any]) -> dict[str, Any]:
        if not self.admin and fault.get("code") == 500:
            fault.pop("details", None)
        return fault

    def _versioned(self, view: dict[str, Any], row: Any) -> None:
        """Fields that came with later microversions and that every form of a server has."""
        version = self.version
        if version >= 9:
            view["locked"] = row.locked_by is not None
        if version >= 19:
            view["description"] = row.description
        if version >= 26:
            view["tags"] = orjson.Fragment(row.tags)
        if version >= 63:
            view["trusted_image_certificates"] = None
        if version >= 71 and not self.listing:
            view["server_groups"] = []
        if version >= 73:
            view["locked_reason"] = row.locked_reason
        if version >= 96:
            view["pinned_availability_zone"] = row.availability_zone

    def _extended(self, view: dict[str, Any], row: Any) -> None:
        view["config_drive"] = "True" if row.config_drive else ""
        view["key_name"] = row.key_name
        view["OS-SRV-USG:launched_at"] = _usage_moment(row.launched_at)
        view["OS-SRV-USG:terminated_at"] = _usage_moment(row.deleted_at)
        view["OS-EXT-AZ:availability_zone"] = self._zones.get(row.host, "") if row.host else ""
        view["OS-EXT-STS:task_state"] = row.task_state
        view["OS-EXT-STS:vm_state"] = VM_STATES[row.status]
        view["OS-EXT-STS:power_state"] = row.power_state
        view["os-extended-volumes:volumes_attached"] = []
        if self.version >= 90:
            view["OS-EXT-SRV-ATTR:hostname"] = row.hostname
        if self.admin:
            self._administrative(view, row)

    def _administrative(self, view: dict[str, Any], row: Any) -> None:
        view["OS-EXT-SRV-ATTR:host"] = row.host
        view["OS-EXT-SRV-ATTR:hypervisor_hostname"] = row.host
        view["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{row.id}"
        if self.version >= 3:
            view["OS-EXT-SRV-ATTR:reservation_id"] = row.reservation_id
            view["OS-EXT-SRV-ATTR:launch_index"] = row.launch_index
            view["OS-EXT-SRV-ATTR:kernel_id"] = ""
            view["OS-EXT-SRV-ATTR:ramdisk_id"] = ""
            view["OS-EXT-SRV-ATTR:hostname"] = row.hostname
            view["OS-EXT-SRV-ATTR:root_device_name"] = "/dev/vda"
            view["OS-EXT-SRV-ATTR:user_data"] = row.user_data
        if self.version >= 16:
            view["host_status"] = self._host_status.get(row.host, "UNKNOWN") if row.host else ""


def _usage_moment(value: Any) -> str | None:
    """Nova shows these two with microseconds and without a zone."""
    if isinstance(value, str):
        return value.replace(" ", "T")
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if value else None

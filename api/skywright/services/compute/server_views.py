"""Views of servers at every microversion. Lists read plain columns: no object per row, no query per server."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import orjson
from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.http import Context
from skywright.http.microversions import version_of
from skywright.services.compute.scheduler import zone_of
from skywright.services.compute.server_fields import Show, shape_of
from skywright.services.network.internal import INTERFACE_ORDER, Address, Network, Port

VM_STATES = {"BUILD": "building", "ACTIVE": "active", "SHUTOFF": "stopped", "ERROR": "error", "DELETED": "deleted"}
IN_PROGRESS = frozenset({"ACTIVE", "BUILD"})
FAULTY = frozenset({"ERROR", "DELETED"})
# The rules of attributes that not all users see.
EXTENDED_ATTRIBUTES = "os_compute_api:os-extended-server-attributes"
HOST_STATUS = "os_compute_api:servers:show:host_status"
UNKNOWN_HOST_STATUS = "os_compute_api:servers:show:host_status:unknown-only"
FLAVOR_EXTRA_SPECS = "os_compute_api:servers:show:flavor-extra-specs"
VIEW_POLICIES = (EXTENDED_ATTRIBUTES, HOST_STATUS, UNKNOWN_HOST_STATUS, FLAVOR_EXTRA_SPECS)
REBOOTS = {"rebooting": "REBOOT", "rebooting_hard": "HARD_REBOOT"}


def public_status(status: str, task_state: str | None) -> str:
    """Return the API's status, which includes a reboot of an active server."""
    return REBOOTS.get(task_state or "", status) if status == "ACTIVE" else status


@lru_cache(maxsize=4096)
def host_id(project_id: str, host: str | None) -> str:
    """Return the `hostId`, which differs between projects."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


@lru_cache(maxsize=1024)
def _embedded_flavor(text: str, *, extra_specs: bool) -> orjson.Fragment:
    flavor = orjson.loads(text)
    view = {key: flavor[key] for key in ("vcpus", "ram", "disk", "ephemeral", "swap")}
    if extra_specs:
        view["extra_specs"] = flavor["extra_specs"]
    return orjson.Fragment(orjson.dumps(view | {"original_name": flavor["name"]}))


@lru_cache(maxsize=1024)
def _linked_flavor(base: str, text: str) -> orjson.Fragment:
    return _linked(f"{base}/flavors", orjson.loads(text)["id"])


@lru_cache(maxsize=1024)
def _linked_image(base: str, image_id: str | None) -> Any:
    return "" if image_id is None else _linked(f"{base}/images", image_id)


def _linked(base: str, identifier: str) -> orjson.Fragment:
    link = {"rel": "bookmark", "href": f"{base}/{identifier}"}
    return orjson.Fragment(orjson.dumps({"id": identifier, "links": [link]}))


def addresses_of(
    session: Session, servers: Sequence[str] | Select[Any], *, types: bool
) -> dict[str, dict[str, list[Any]]]:
    """Return {server id: {network name: [address]}} of all servers, given by ids or by a query, with one query."""
    query = (
        select(Port.device_id, Network.name, Address.ip_address, Port.mac_address)
        .join(Network, Network.id == Port.network_id)
        .join(Address, Address.port_id == Port.id)
        .order_by(*INTERFACE_ORDER, Address.ip_address)
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
    """Views of many servers for one request. *full* false: the short form that PUT returns before 2.75."""

    def __init__(self, context: Context, *, listing: bool, full: bool = True) -> None:
        base = context.base_url
        self.session = context.db
        self.version = version_of(context)
        self.admin = context.is_admin
        self.full = full
        self._extended = context.allows(EXTENDED_ATTRIBUTES)
        self._status_shown = context.allows(HOST_STATUS)
        self._unknown_shown = self._status_shown or context.allows(UNKNOWN_HOST_STATUS)
        self._shape = shape_of(self.version, admin=self._extended, full=full, listing=listing)
        embedded = partial(_embedded_flavor, extra_specs=context.allows(FLAVOR_EXTRA_SPECS))
        self._shows: list[tuple[str, Show]] = [
            *self._shape.shows,
            ("image", partial(_linked_image, base)),
            ("flavor", embedded if self.version >= 47 else partial(_linked_flavor, base)),
        ]
        # The links of a server as JSON with two placeholders for the id, which needs no escaping.
        self._links = orjson.dumps(links_of(base.replace("%", "%%"), "%s")).decode()
        self._zones: dict[str, str] = {}
        self._host_status: dict[str, str] = {}

    @property
    def columns(self) -> Sequence[Any]:
        """Return the columns to select for these views."""
        return self._shape.columns

    def render(self, rows: Sequence[Row[Any]], page: Select[Any] | None = None) -> list[dict[str, Any]]:
        """Return the views of *rows*, which have `columns`; *page* is a query of their ids."""
        addresses = addresses_of(self.session, [row.id for row in rows] if page is None else page, types=self.full)
        hosts = {row[len(self._shape.names)] for row in rows}  # the first column of BEHIND
        for host in self.session.scalars(select(Host).where(Host.name.in_(hosts))):
            self._zones[host.name] = zone_of(host)
            disabled = host.state != "enabled"
            self._host_status[host.name] = "MAINTENANCE" if disabled else "UP" if host.up else "DOWN"
        return [self._view(row, addresses) for row in rows]

    def _view(self, row: Row[Any], addresses: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
        names = self._shape.names
        view = dict(zip(names, row, strict=False))
        for name, show in self._shows:
            view[name] = show(view[name])
        view |= self._shape.constants
        host, zone, task_state, fault = row[len(names) :]
        identifier, status = view["id"], view["status"]
        view["links"] = orjson.Fragment(self._links % (identifier, identifier))
        view["addresses"] = addresses.get(identifier, {})
        view["hostId"] = host_id(view["tenant_id"], host)
        view["status"] = public_status(status, task_state)
        if view["status"] in IN_PROGRESS:
            view["progress"] = 0
        if fault and fault != "null" and status in FAULTY:
            view["fault"] = self._fault(orjson.loads(fault))
        if self.full:
            view["OS-EXT-STS:vm_state"] = VM_STATES[status]
            view["OS-EXT-STS:task_state"] = task_state
            view["OS-EXT-AZ:availability_zone"] = self._zones.get(host, "") if host else zone or ""
            if self._extended:
                view["OS-EXT-SRV-ATTR:host"] = view["OS-EXT-SRV-ATTR:hypervisor_hostname"] = host
                view["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{identifier}"
            if self._unknown_shown and self.version >= 16:
                self._show_host_status(view, host)
        return view

    def _show_host_status(self, view: dict[str, Any], host: str | None) -> None:
        status = self._host_status.get(host, "UNKNOWN") if host else ""
        if self._status_shown or status == "UNKNOWN":
            view["host_status"] = status

    def _fault(self, fault: dict[str, Any]) -> dict[str, Any]:
        if not self.admin and fault.get("code") == 500:
            fault.pop("details", None)
        return fault

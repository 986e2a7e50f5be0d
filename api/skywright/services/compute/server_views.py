"""Views of servers at every microversion. Lists read plain columns: no object per row, no query per server.

Clients poll lists in which few servers have changed. So the JSON of a server is kept with the hash of all that it was
made from, and made again when that differs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.http import Context
from skywright.http.microversions import version_of
from skywright.services.compute.scheduler import zone_of
from skywright.services.compute.server_fields import Shape, Show, shape_of
from skywright.services.network.internal import INTERFACE_ORDER, Address, FloatingIp, Network, Port

VM_STATES = {"BUILD": "building", "ACTIVE": "active", "SHUTOFF": "stopped", "ERROR": "error", "DELETED": "deleted"}
IN_PROGRESS = frozenset({"ACTIVE", "BUILD"})
FAULTY = frozenset({"ERROR", "DELETED"})
# The rules of attributes that not all users see.
EXTENDED_ATTRIBUTES = "os_compute_api:os-extended-server-attributes"
HOST_STATUS = "os_compute_api:servers:show:host_status"
UNKNOWN_HOST_STATUS = "os_compute_api:servers:show:host_status:unknown-only"
FLAVOR_EXTRA_SPECS = "os_compute_api:servers:show:flavor-extra-specs"
VIEW_POLICIES = (EXTENDED_ATTRIBUTES, HOST_STATUS, UNKNOWN_HOST_STATUS, FLAVOR_EXTRA_SPECS)
KEPT = 1024  # views: a page of a list
REBOOTS = {"rebooting": "REBOOT", "rebooting_hard": "HARD_REBOOT"}

FIXED, FLOATING = "fixed", "floating"  # OS-EXT-IPS:type
Interface = tuple[str, str, str, str]  # network name, IP address, MAC address, type


class Place(NamedTuple):
    """What a view shows of the server's host."""

    zone: str
    status: str


NOWHERE = Place("", "UNKNOWN")  # the host was removed


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
    return _fragment(view | {"original_name": flavor["name"]})


@lru_cache(maxsize=1024)
def _linked_flavor(base: str, text: str) -> orjson.Fragment:
    return _linked(f"{base}/flavors", orjson.loads(text)["id"])


@lru_cache(maxsize=1024)
def _linked_image(base: str, image_id: str | None) -> Any:
    return "" if image_id is None else _linked(f"{base}/images", image_id)


def _linked(base: str, identifier: str) -> orjson.Fragment:
    link = {"rel": "bookmark", "href": f"{base}/{identifier}"}
    return _fragment({"id": identifier, "links": [link]})


def _fragment(value: Mapping[str, Any]) -> orjson.Fragment:
    """Return JSON to keep. It is a copy, because what `orjson.dumps` returns holds a buffer of 8 kB or more."""
    return orjson.Fragment(bytes(memoryview(orjson.dumps(value))))


def interfaces_of(session: Session, servers: Sequence[str] | Select[Any]) -> dict[str, tuple[Interface, ...]]:
    """Return {server id: interfaces} of all servers, given by ids or by a query: fixed addresses, then floating IPs."""
    ports = select(Port.device_id, Network.name).join(Network, Network.id == Port.network_id)
    if isinstance(servers, Select):
        page = servers.subquery()
        ports = ports.join(page, page.c.id == Port.device_id)
    else:
        ports = ports.where(Port.device_id.in_(servers))
    found: dict[str, tuple[Interface, ...]] = {}
    for kind, table, address in (
        (FIXED, Address, Address.ip_address),
        (FLOATING, FloatingIp, FloatingIp.floating_ip_address),
    ):
        query = ports.add_columns(address, Port.mac_address).join(table, table.port_id == Port.id)
        query = query.order_by(*INTERFACE_ORDER, address)
        for server_id, network, ip, mac in session.connection().execute(query).all():
            found[server_id] = (*found.get(server_id, ()), (network, ip, mac, kind))
    return found


def addresses_of(interfaces: Sequence[Interface], *, types: bool) -> dict[str, list[Any]]:
    """Return {network name: [address]}."""
    found: dict[str, list[Any]] = {}
    for network, ip, mac, kind in interfaces:
        entry: dict[str, Any] = {"version": 6 if ":" in ip else 4, "addr": ip}
        if types:
            entry["OS-EXT-IPS:type"] = kind
            entry["OS-EXT-IPS-MAC:mac_addr"] = mac
        found.setdefault(network, []).append(entry)
    return found


def links_of(base: str, server_id: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base}/v2.1/servers/{server_id}"},
        {"rel": "bookmark", "href": f"{base}/servers/{server_id}"},
    ]


class Form(NamedTuple):
    """What the views of one request have in common."""

    base: str  # the service's URL
    version: int
    listing: bool
    full: bool  # false: the short form that PUT returns before 2.75
    admin: bool
    extended: bool
    extra_specs: bool
    status_shown: bool
    unknown_shown: bool


class ServerViews:
    """Views of many servers for one request. *full* false: the short form that PUT returns before 2.75."""

    def __init__(self, context: Context, *, listing: bool, full: bool = True) -> None:
        self.session = context.db
        self._renderer = _renderer(
            Form(
                context.base_url,
                version_of(context),
                listing=listing,
                full=full,
                admin=context.is_admin,
                extended=context.allows(EXTENDED_ATTRIBUTES),
                extra_specs=context.allows(FLAVOR_EXTRA_SPECS),
                status_shown=context.allows(HOST_STATUS),
                unknown_shown=context.allows(UNKNOWN_HOST_STATUS),
            )
        )

    @property
    def columns(self) -> Sequence[Any]:
        """Return the columns to select for these views."""
        return self._renderer.shape.columns

    def render(self, rows: Sequence[Row[Any]], page: Select[Any] | None = None) -> list[orjson.Fragment]:
        """Return the views of *rows*, which have `columns`, as JSON; *page* is a query of their ids."""
        interfaces = interfaces_of(self.session, [row.id for row in rows] if page is None else page)
        first = len(self._renderer.shape.names)  # the first column of BEHIND: the host
        places = self._places({row[first] for row in rows})
        return [
            self._renderer.json(tuple(row), interfaces.get(row[0], ()), places.get(row[first], NOWHERE)) for row in rows
        ]

    def _places(self, names: set[str | None]) -> dict[str | None, Place | None]:
        places: dict[str | None, Place | None] = {None: None}
        for host in self.session.scalars(select(Host).where(Host.name.in_(names))):
            status = "MAINTENANCE" if host.state != "enabled" else "UP" if host.up else "DOWN"
            places[host.name] = Place(zone_of(host), status)
        return places


class _Renderer:
    """Makes the views of one form."""

    def __init__(self, form: Form) -> None:
        self.shape: Shape = shape_of(form.version, admin=form.extended, full=form.full, listing=form.listing)
        self._form = form
        embedded = partial(_embedded_flavor, extra_specs=form.extra_specs)
        self._shows: list[tuple[str, Show]] = [
            *self.shape.shows,
            ("image", partial(_linked_image, form.base)),
            ("flavor", embedded if form.version >= 47 else partial(_linked_flavor, form.base)),
        ]

    def json(self, row: tuple[Any, ...], interfaces: tuple[Interface, ...], place: Place | None) -> orjson.Fragment:
        """Return the view of a server as JSON; *place* is None if the server is on no host."""
        state = hash((row, interfaces, place))
        kept = _kept(self, row[0])
        made_from, view = kept.made
        if view is None or made_from != state:
            view = _fragment(self._view(row, interfaces, place))
            kept.made = (state, view)
        return view

    def _view(self, row: tuple[Any, ...], interfaces: Sequence[Interface], place: Place | None) -> dict[str, Any]:
        form, names = self._form, self.shape.names
        view = dict(zip(names, row, strict=False))
        for name, show in self._shows:
            view[name] = show(view[name])
        view |= self.shape.constants
        host, zone, task_state, fault = row[len(names) :]
        identifier, status = view["id"], view["status"]
        view["links"] = links_of(form.base, identifier)
        view["addresses"] = addresses_of(interfaces, types=form.full)
        view["hostId"] = host_id(view["tenant_id"], host)
        view["status"] = public_status(status, task_state)
        if view["status"] in IN_PROGRESS:
            view["progress"] = 0
        if fault and fault != "null" and status in FAULTY:
            view["fault"] = self._fault(orjson.loads(fault))
        if form.full:
            view["OS-EXT-STS:vm_state"] = VM_STATES[status]
            view["OS-EXT-STS:task_state"] = task_state
            view["OS-EXT-AZ:availability_zone"] = place.zone if place else zone or ""
            if form.extended:
                view["OS-EXT-SRV-ATTR:host"] = view["OS-EXT-SRV-ATTR:hypervisor_hostname"] = host
                view["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{identifier}"
            if form.version >= 16:
                self._show_host_status(view, place.status if place else "")
        return view

    def _show_host_status(self, view: dict[str, Any], status: str) -> None:
        if self._form.status_shown or (self._form.unknown_shown and status == "UNKNOWN"):
            view["host_status"] = status

    def _fault(self, fault: dict[str, Any]) -> dict[str, Any]:
        if not self._form.admin and fault.get("code") == 500:
            fault.pop("details", None)
        return fault


_renderer = lru_cache(maxsize=64)(_Renderer)


class _Kept:
    """The last view of a server, and the hash of all that it was made from: the values would take more memory.

    Two states of one server have the same hash in one case of 2 ** 64.
    """

    __slots__ = ("made",)

    def __init__(self) -> None:
        self.made: tuple[int, orjson.Fragment | None] = (0, None)  # replaced as a whole, because threads share it


@lru_cache(maxsize=KEPT)
def _kept(_renderer: _Renderer, _server_id: str) -> _Kept:
    return _Kept()

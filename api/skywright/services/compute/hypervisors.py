"""Hypervisors: the compute hosts. https://docs.openstack.org/api-ref/compute/#hypervisors-os-hypervisors"""

import re
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import orjson
from sqlalchemy import select

from skywright.db.jobs import Host
from skywright.http import BadRequest, Context, NotFound, Router, paging
from skywright.http.microversions import until, version_of
from skywright.services.compute.compute_hosts import compute_hosts, disabled_reason, host_number
from skywright.services.compute.listing import (
    PAGING,
    boolean_parameter,
    known_marker,
    next_link,
    page_limit,
    parameters,
)
from skywright.services.compute.scheduler import Usage, usage_by_host
from skywright.services.compute.tables import Server

router = Router()
NOTHING = Usage()
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
NAME_PATTERN = re.compile(r"[a-zA-Z0-9\-._]{1,255}", re.ASCII)
# Query parameters since 2.53, when unknown ones became errors.
OF_LIST = PAGING | {"hypervisor_hostname_pattern", "with_servers"}
OF_ONE = frozenset({"with_servers"})


@router.operation("GET", "/v2.1/os-hypervisors", policy="os_compute_api:os-hypervisors:list")
def list_hypervisors(context: Context) -> dict[str, Any]:
    hosts, links = _page(context)
    return {"hypervisors": _with_servers(context, hosts, [_brief(context, host) for host in hosts])} | links


@router.operation("GET", "/v2.1/os-hypervisors/detail", policy="os_compute_api:os-hypervisors:list-detail")
def list_hypervisors_detail(context: Context) -> dict[str, Any]:
    hosts, links = _page(context)
    used = usage_by_host(context.db)
    views = [_detail(context, host, used.get(host.name, NOTHING)) for host in hosts]
    return {"hypervisors": _with_servers(context, hosts, views)} | links


@router.operation("GET", "/v2.1/os-hypervisors/statistics", policy="os_compute_api:os-hypervisors:statistics")
def statistics(context: Context) -> dict[str, Any]:
    """Return the sums over all enabled hosts."""
    until(context, 87)
    used = usage_by_host(context.db)
    hosts = [host for host in compute_hosts(context.db) if host.condition == "enabled"]
    total = dict.fromkeys(_capacity(Host(), NOTHING), 0)
    for host in hosts:
        for key, value in _capacity(host, used.get(host.name, NOTHING)).items():
            total[key] += value or 0
    return {"hypervisor_statistics": {"count": len(hosts)} | total}


@router.operation("GET", "/v2.1/os-hypervisors/{hypervisor_id}", policy="os_compute_api:os-hypervisors:show")
def show_hypervisor(context: Context, hypervisor_id: str) -> dict[str, Any]:
    parameters(context, OF_ONE, closed=53)
    host = _find(context, hypervisor_id)
    used = usage_by_host(context.db).get(host.name, NOTHING)
    [view] = _with_servers(context, [host], [_detail(context, host, used)])
    return {"hypervisor": view}


@router.operation("GET", "/v2.1/os-hypervisors/{hypervisor_id}/uptime", policy="os_compute_api:os-hypervisors:uptime")
def show_uptime(context: Context, hypervisor_id: str) -> dict[str, Any]:
    until(context, 87)
    host = _find(context, hypervisor_id)
    uptime = _uptime(host)
    if uptime is None:
        raise BadRequest(f"Compute service of {host.name} is unavailable at this time.")
    return {"hypervisor": _brief(context, host) | {"uptime": uptime}}


@router.operation("GET", "/v2.1/os-hypervisors/{pattern}/search", policy="os_compute_api:os-hypervisors:search")
def search(context: Context, pattern: str) -> dict[str, Any]:
    until(context, 52)
    return {"hypervisors": [_brief(context, host) for host in _matching(context, pattern)]}


@router.operation("GET", "/v2.1/os-hypervisors/{pattern}/servers", policy="os_compute_api:os-hypervisors:servers")
def list_servers(context: Context, pattern: str) -> dict[str, Any]:
    until(context, 52)
    hosts = _matching(context, pattern)
    return {"hypervisors": _add_servers(context, hosts, [_brief(context, host) for host in hosts])}


def _page(context: Context) -> tuple[Sequence[Host], dict[str, Any]]:
    """Return the hosts that the query selects, and the link to the next page (since 2.33)."""
    wanted, version = parameters(context, OF_LIST, closed=53), version_of(context)
    if version >= 53 and (pattern := wanted.get("hypervisor_hostname_pattern")) is not None:
        return _by_pattern(context, pattern), {}
    hosts = compute_hosts(context.db)
    if version < 33:
        return hosts, {}
    with known_marker(wanted) as marker:
        ids = [str(_id(context, host)) for host in hosts]
        hosts, more = paging.window(hosts, ids, marker=marker, limit=page_limit(wanted))
    return hosts, next_link(context, "hypervisors_links", str(_id(context, hosts[-1])) if more else None)


def _by_pattern(context: Context, pattern: str) -> list[Host]:
    if not NAME_PATTERN.fullmatch(pattern):
        raise BadRequest(f"Invalid input for query parameters hypervisor_hostname_pattern. Value: {pattern}.")
    if context.request.query_params.keys() & PAGING:
        raise BadRequest(
            "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
        )
    return _matching(context, pattern)


def _matching(context: Context, pattern: str) -> list[Host]:
    found = [host for host in compute_hosts(context.db) if pattern in host.name]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _find(context: Context, identifier: str) -> Host:
    if version_of(context) >= 53 and not UUID.fullmatch(identifier):
        raise BadRequest(f"Invalid uuid {identifier}")
    for host in compute_hosts(context.db):
        if str(_id(context, host)) == identifier:
            return host
    raise NotFound(f"Hypervisor with ID '{identifier}' could not be found.")


def _id(context: Context, host: Host) -> str | int:
    return host.id if version_of(context) >= 53 else host_number(host)


def _brief(context: Context, host: Host) -> dict[str, Any]:
    return {
        "id": _id(context, host),
        "hypervisor_hostname": host.name,
        "state": "up" if host.up else "down",
        "status": "enabled" if host.condition == "enabled" else "disabled",
    }


def _detail(context: Context, host: Host, used: Usage) -> dict[str, Any]:
    version, facts = version_of(context), host.facts
    view = _brief(context, host) | {
        "hypervisor_type": facts.hypervisor_type or "QEMU",
        "hypervisor_version": facts.hypervisor_version or 0,
        "host_ip": _address(host),
        "service": {"id": _id(context, host), "host": host.name, "disabled_reason": disabled_reason(host)},
    }
    if version >= 88:
        return view | {"uptime": _uptime(host)}
    cpu_info = facts.cpu_info.model_dump(exclude_none=True) if facts.cpu_info else {}
    shown = cpu_info if version >= 28 else orjson.dumps(cpu_info).decode()
    return view | _capacity(host, used) | {"cpu_info": shown}


def _address(host: Host) -> str:
    """Return the IP address of the host: of its inventory, or observed if that has a name.

    Before the first observation it is the unspecified address.
    """
    for address in (host.variables.get("ansible_host"), host.facts.address):
        with suppress(ValueError):
            return str(ip_address(str(address).partition("%")[0]))
    return "0.0.0.0"


def _capacity(host: Host, used: Usage) -> dict[str, int | None]:
    facts, size, memory = host.facts, host.disk_gib or 0, host.memory_mib or 0
    least = None
    if facts.disk_free_gib is not None and facts.disk_overcommit_gib is not None:
        least = facts.disk_free_gib - facts.disk_overcommit_gib
    return {
        "vcpus": host.vcpus or 0,
        "vcpus_used": used.vcpus,
        "memory_mb": memory,
        "memory_mb_used": used.ram_mib,
        "free_ram_mb": memory - used.ram_mib,
        "local_gb": size,
        "local_gb_used": used.disk_gib,
        "free_disk_gb": size - used.disk_gib,
        "disk_available_least": least,
        "running_vms": used.servers,
        "current_workload": used.tasks,
    }


def _uptime(host: Host) -> str | None:
    """Return the output of `uptime` from the last observation; None if the host is down."""
    return host.facts.uptime if host.up else None


def _with_servers(context: Context, hosts: Sequence[Host], views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = context.request.query_params.get("with_servers")
    if wanted is None or version_of(context) < 53 or not boolean_parameter(wanted, "with_servers"):
        return views
    return _add_servers(context, hosts, views)


def _add_servers(context: Context, hosts: Sequence[Host], views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = [host.name for host in hosts]
    query = select(Server.id, Server.host).where(Server.host.in_(names), Server.deleted_at.is_(None))
    found: dict[str, list[dict[str, str]]] = {}
    for server_id, name in context.db.execute(query.order_by(Server.created_at, Server.id)):
        found.setdefault(str(name), []).append({"name": f"instance-{server_id}", "uuid": server_id})
    empty: dict[str, Any] = {"servers": []} if version_of(context) >= 75 else {}
    return [
        view | ({"servers": found[host.name]} if host.name in found else empty)
        for host, view in zip(hosts, views, strict=True)
    ]

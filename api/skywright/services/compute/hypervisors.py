"""Hypervisors: the compute hosts. https://docs.openstack.org/api-ref/compute/#hypervisors-os-hypervisors"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from skywright.db import utcnow
from skywright.db.jobs import Host
from skywright.http import BadRequest, Context, NotFound, Router
from skywright.http.microversions import until, version_of
from skywright.services.compute.scheduler import is_compute, usage_by_host
from skywright.services.compute.tables import Server
from skywright.services.compute.validation import boolean_parameter, page_limit

router = Router()
NOTHING = (0, 0, 0, 0)


@router.operation("GET", "/v2.1/os-hypervisors", policy="compute:hypervisors")
def list_hypervisors(context: Context) -> dict[str, Any]:
    hosts, links = _page(context, "")
    return {"hypervisors": _with_servers(context, hosts, [_brief(context, host) for host in hosts])} | links


@router.operation("GET", "/v2.1/os-hypervisors/detail", policy="compute:hypervisors")
def list_hypervisors_detail(context: Context) -> dict[str, Any]:
    hosts, links = _page(context, "/detail")
    used = usage_by_host(context.db)
    views = [_detail(context, host, used.get(host.name, NOTHING)) for host in hosts]
    return {"hypervisors": _with_servers(context, hosts, views)} | links


@router.operation("GET", "/v2.1/os-hypervisors/statistics", policy="compute:hypervisors")
def statistics(context: Context) -> dict[str, Any]:
    until(context, 87)
    used = usage_by_host(context.db)
    hosts = [host for host in _hosts(context) if host.state == "enabled"]
    total: dict[str, int] = {"count": len(hosts)}
    for host in hosts:
        for key, value in _capacity(host, used.get(host.name, NOTHING)).items():
            total[key] = total.get(key, 0) + value
    return {"hypervisor_statistics": total or _capacity(Host(), NOTHING)}


@router.operation("GET", "/v2.1/os-hypervisors/{hypervisor_id}", policy="compute:hypervisors")
def show_hypervisor(context: Context, hypervisor_id: str) -> dict[str, Any]:
    host = _find(context, hypervisor_id)
    used = usage_by_host(context.db).get(host.name, NOTHING)
    [view] = _with_servers(context, [host], [_detail(context, host, used)])
    return {"hypervisor": view}


@router.operation("GET", "/v2.1/os-hypervisors/{hypervisor_id}/uptime", policy="compute:hypervisors")
def show_uptime(context: Context, hypervisor_id: str) -> dict[str, Any]:
    until(context, 87)
    host = _find(context, hypervisor_id)
    uptime = _uptime(host)
    if uptime is None:
        raise BadRequest(f"The uptime of {host.name} is not known.")
    return {"hypervisor": _brief(context, host) | {"uptime": uptime}}


@router.operation("GET", "/v2.1/os-hypervisors/{pattern}/search", policy="compute:hypervisors")
def search(context: Context, pattern: str) -> dict[str, Any]:
    until(context, 52)
    return {"hypervisors": [_brief(context, host) for host in _matching(context, pattern)]}


@router.operation("GET", "/v2.1/os-hypervisors/{pattern}/servers", policy="compute:hypervisors")
def list_servers(context: Context, pattern: str) -> dict[str, Any]:
    until(context, 52)
    hosts = _matching(context, pattern)
    return {"hypervisors": _add_servers(context, hosts, [_brief(context, host) for host in hosts])}


def host_number(host: Host) -> int:
    """The number that stands for a host's id before 2.53."""
    return int(host.id[:7], 16)


def _hosts(context: Context) -> list[Host]:
    return [host for host in context.db.scalars(select(Host).order_by(Host.id)) if is_compute(host)]


def _page(context: Context, path: str) -> tuple[list[Host], dict[str, Any]]:
    parameters, version = context.request.query_params, version_of(context)
    pattern = parameters.get("hypervisor_hostname_pattern")
    hosts = _matching(context, pattern) if pattern and version >= 53 else _hosts(context)
    if version < 33:
        return hosts, {}
    if marker := parameters.get("marker"):
        ids = [str(_id(context, host)) for host in hosts]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        hosts = hosts[ids.index(marker) + 1 :]
    limit = page_limit(parameters)
    if len(hosts) <= limit or limit == 0:
        return hosts[:limit], {}
    following = dict(parameters) | {"marker": str(_id(context, hosts[limit - 1]))}
    href = f"{context.base_url}/v2.1/os-hypervisors{path}?{urlencode(following)}"
    return hosts[:limit], {"hypervisors_links": [{"rel": "next", "href": href}]}


def _matching(context: Context, pattern: str) -> list[Host]:
    found = [host for host in _hosts(context) if pattern in host.name]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


def _find(context: Context, identifier: str) -> Host:
    for host in _hosts(context):
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
        "status": "enabled" if host.state == "enabled" else "disabled",
    }


def _detail(context: Context, host: Host, used: tuple[int, int, int, int]) -> dict[str, Any]:
    version = version_of(context)
    view = _brief(context, host) | {
        "hypervisor_type": str(host.info.get("hypervisor_type") or "QEMU"),
        "hypervisor_version": int(host.info.get("hypervisor_version") or 0),
        "host_ip": str(host.variables.get("ansible_host") or host.name),
        "service": {
            "id": _id(context, host),
            "host": host.name,
            "disabled_reason": host.disabled_reason,
        },
    }
    if version >= 88:
        return view | {"uptime": _uptime(host)}
    return view | _capacity(host, used) | {"cpu_info": {} if version >= 28 else "{}"}


def _capacity(host: Host, used: tuple[int, int, int, int]) -> dict[str, int]:
    cpus, ram, disk, servers = used
    size, memory = host.disk_gib or 0, host.memory_mib or 0
    return {
        "vcpus": host.vcpus or 0,
        "vcpus_used": cpus,
        "memory_mb": memory,
        "memory_mb_used": ram,
        "free_ram_mb": memory - ram,
        "local_gb": size,
        "local_gb_used": disk,
        "free_disk_gb": size - disk,
        "disk_available_least": size - disk,
        "running_vms": servers,
        "current_workload": 0,
    }


def _uptime(host: Host) -> str | None:
    """For how long the host has been up, as `uptime` says it."""
    seconds = host.info.get("uptime_seconds")
    if seconds is None:
        return None
    days, rest = divmod(int(seconds), 86400)
    return f" {utcnow():%H:%M:%S} up {days} days, {rest // 3600:2}:{rest % 3600 // 60:02}"


def _with_servers(context: Context, hosts: Iterable[Host], views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = context.request.query_params.get("with_servers")
    if wanted is None or version_of(context) < 53 or not boolean_parameter(wanted, "with_servers"):
        return views
    return _add_servers(context, hosts, views)


def _add_servers(context: Context, hosts: Iterable[Host], views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    query = select(Server.id, Server.host).where(Server.host.is_not(None), Server.deleted_at.is_(None))
    found: dict[str, list[dict[str, str]]] = {}
    for server_id, name in context.db.execute(query):
        found.setdefault(str(name), []).append({"uuid": server_id, "name": f"instance-{server_id}"})
    empty: dict[str, Any] = {"servers": []} if version_of(context) >= 75 else {}
    return [
        view | ({"servers": found[host.name]} if host.name in found else empty)
        for host, view in zip(hosts, views, strict=True)
    ]

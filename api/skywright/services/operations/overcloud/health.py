"""Problems in the report about an overcloud's services."""

from collections.abc import Iterator, Mapping
from typing import Any

from skywright.services.operations.overcloud.plan import Plan

CERTIFICATE_DAYS = 14
SILENT = "no answer"
# HAProxy's states of servers that get requests; maintenance is set by operators.
SERVING = ("UP", "no check", "MAINT", "DRAIN")

Reports = Mapping[str, Mapping[str, Any] | None]


def problems(plan: Plan, reports: Reports) -> list[str]:
    """Yield all problems."""
    controllers = [name for name in plan.roles.controllers if reports.get(name)]
    told: dict[str, list[str]] = {}  # {problem: hosts}: several hosts may report the same problem
    for name in plan.hosts:
        report = reports.get(name)
        for text in _host_problems(report, len(plan.roles.controllers)) if report else [SILENT]:
            told.setdefault(text, []).append(name)
    found = [f"{', '.join(names)}: {text}" for text, names in told.items()]
    return [*found, *_virtual_address_problems(holders(reports), controllers), *_database_problems(reports)]


def holders(reports: Reports) -> list[str]:
    """Return the hosts that have the virtual address: normally one."""
    return sorted(name for name, report in reports.items() if report and report.get("virtual_address") is True)


def _host_problems(report: Mapping[str, Any], controllers: int) -> Iterator[str]:
    for part, said in report.items():
        if isinstance(said, dict) and isinstance(said.get("error"), str):
            yield f"{part}: {said['error']}"
    for unit, is_now in _section(report, "units").items():
        if is_now["state"] != "active":
            yield f"{unit} is {is_now['state']} ({is_now['detail']})"
    for path, days in _section(report, "certificates").items():
        if days is None:
            yield f"there is no certificate {path}"
        elif days < CERTIFICATE_DAYS:
            yield f"certificate {path} " + (f"expires in {days} days" if days >= 0 else "has expired")
    if (api := _section(report, "api")) and not api["ready"]:
        yield f"the API is not ready: {api['detail']}"
    yield from _cluster_problems(report, controllers)
    for row in _section(report, "haproxy").get("servers", ()):
        if not row["status"].startswith(SERVING):
            yield f"HAProxy does not use {row['server']} of {row['backend']}: {row['status']}"


def _cluster_problems(report: Mapping[str, Any], controllers: int) -> Iterator[str]:
    database, broker = _section(report, "galera"), _section(report, "rabbitmq")
    if database and not (database["ready"] and database["cluster"] == "Primary" and database["state"] == "Synced"):
        yield f"the database accepts no writes: it is {database['state']} in a {database['cluster']} component"
    elif database and database["size"] != controllers:
        yield f"the database's cluster has {database['size']} of {controllers} nodes"
    if broker and len(broker["running"]) != controllers:
        yield f"the message broker's cluster has {len(broker['running'])} of {controllers} nodes"
    if broker and (broker["alarms"] or broker["partitions"]):
        yield f"the message broker warns: {', '.join([*broker['alarms'], *broker['partitions']])}"


def _virtual_address_problems(found: list[str], controllers: list[str]) -> Iterator[str]:
    if len(found) != 1 and controllers:
        yield f"{', '.join(found) or 'No controller'} {'has' if len(found) < 2 else 'have'} the virtual address"


def _database_problems(reports: Reports) -> Iterator[str]:
    """Yield split clusters: two parts that both accept writes are a problem although each looks healthy."""
    sizes = [database["size"] for report in reports.values() if (database := _section(report or {}, "galera"))]
    if sum(size > len(sizes) / 2 for size in sizes) not in (0, len(sizes)):
        yield f"the databases disagree about the size of their cluster: {', '.join(map(str, sizes))} nodes"


def _section(report: Mapping[str, Any], part: str) -> dict[str, Any]:
    """Return a part of the report; empty if it could not be read."""
    said = report.get(part)
    return said if isinstance(said, dict) and not isinstance(said.get("error"), str) else {}

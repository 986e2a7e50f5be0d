"""Drift of routers: differences from the records, and leftovers on hosts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from skywright.db.host_facts import HostFacts, Mark
from skywright.jobs.drift.model import Finding, Leftover, Reading, Records, Use
from skywright.jobs.kinds import Result
from skywright.services.network.kinds.router_items import router_item
from skywright.services.network.router_ports import ports_of
from skywright.services.network.router_tables import Router

Text = Callable[[Any, Any], str]


def read_desired(reading: Reading) -> None:
    """Add the routers of the compared hosts, and their ports."""
    query = select(Router).where(Router.deleted_at.is_(None), Router.host.in_(reading.compared)).order_by(Router.id)
    if reading.scope.project_id is not None:
        query = query.where(Router.project_id == reading.scope.project_id)
    routers = list(reading.session.scalars(query))
    ports = ports_of(reading.session, [router.id for router in routers])
    for router in routers:
        own, key = ports.get(router.id, []), ("router", router.id)
        if own and reading.includes(key, router.name, router.project_id):
            reading.uses += [Use(key, "port", port.id, router.host) for port in own]
            reading.desired.add(router.host, "routers", router_item(reading.session, router, own))


def describe(base: Finding, result: Result) -> Iterator[Finding]:
    """Yield the differences of a router."""
    diff = result.get("diff") or {}
    before, after = diff.get("before") or {}, diff.get("after") or {}
    if not before:
        yield replace(base, text="its namespace is missing", diff={"before": None, "after": after})
        return
    for key, text in _PARTS.items():
        have, want = before.get(key), after.get(key)
        if have != want:
            yield replace(base, text=text(have, want), diff={"before": {key: have}, "after": {key: want}})


def _interfaces(have: Any, want: Any) -> str:
    return f"its interfaces differ: {', '.join(sorted(n for n in {*have, *want} if have.get(n) != want.get(n)))}"


_PARTS: dict[str, Text] = {
    "parameters": lambda _have, _want: "its kernel parameters differ",
    "interfaces": _interfaces,
    "routes": lambda _have, _want: "its routes differ",
    "rules": lambda _have, _want: "its packet filter differs",
}


def leftovers(records: Records, host: str, facts: HostFacts) -> Iterator[Leftover]:
    """Yield routers that do not belong on the host: none in facts from before there were any."""
    if "router" not in (facts.contents or {}):
        return
    here = set(records.session.scalars(select(Router.id).where(Router.deleted_at.is_(None), Router.host == host)))
    for mark in facts.marks("router", Mark):
        if mark.id not in here and records.settled("router", mark.id):
            yield Leftover(host, "router", mark.id, texts=["namespace"])

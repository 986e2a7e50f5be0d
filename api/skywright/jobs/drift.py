"""Drift: how hosts differ from the records, found out by two runs over all of them that change nothing.

The records are read, then the hosts, then the records again. Only what did not move meanwhile is told: no job was at
work on it, and the records say the same as before.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.jobs import activity
from skywright.jobs.activity import Key, Moment, Touched
from skywright.jobs.desired import Desired, Resource, Scope, desired
from skywright.jobs.draft import Draft
from skywright.jobs.findings import DRIFTED, LOST, UNKNOWN, Finding, Findings, findings
from skywright.jobs.leftovers import Leftover, leftovers
from skywright.jobs.playbooks import Item
from skywright.jobs.playbooks.network_items import is_null
from skywright.jobs.results import Results

if TYPE_CHECKING:
    from skywright.cloud import Cloud

LIMIT_SECONDS = 900.0  # a thousand servers take some ten seconds
MOVED = "it changed while the hosts were looked at"
KINDS = {"network": "networks", "image": "images", "server": "servers"}
Index = dict[tuple[str, str, str], Item]


class LookFailed(Exception):
    """Ansible came to no end."""


@dataclass(frozen=True)
class Look:
    """What the records said at a moment, and what hosts said after it."""

    scope: Scope
    since: Moment
    wanted: Desired
    contents: dict[str, dict[str, Any]]
    told: Findings


@dataclass
class Drift:
    """How hosts differ."""

    scope: Scope
    wanted: Desired
    found: list[Finding] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    left_out: dict[Key, str] = field(default_factory=dict)
    not_checked: dict[str, str] = field(default_factory=dict)
    own_will: set[str] = field(default_factory=set)
    resources: dict[Key, Resource] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """`drift`; `incomplete`, if none was found but not all was looked at; or `clean`."""
        states = {finding.state for finding in self.found}
        if self.leftovers or states & {DRIFTED, LOST}:
            return "drift"
        return "incomplete" if self.not_checked or UNKNOWN in states else "clean"


def look(cloud: "Cloud", scope: Scope) -> Look:
    """Ask the hosts in *scope*."""
    with cloud.database.read() as session:
        since, wanted = activity.now(session), desired(session, cloud, scope)
    listing = {name: {"contents": list[Item]()} for name, _, _ in wanted.hosts}
    listed = _run(cloud, "host", listing, wanted)
    contents = {name: _of_host(listed, name) for name in listing}
    reasons = {
        (name, domain["id"]): domain.get("reason")
        for name, info in contents.items()
        for domain in info.get("domains") or []
    }
    answering = {name: items for name, items in wanted.items.items() if contents[name]}
    checked = _run(cloud, "server", answering, wanted)
    told = findings(wanted, checked, reasons)
    for name, info in contents.items():
        reason = _unread(listed, name, info)
        if reason:
            told.silent[name] = reason
    return Look(scope, since, wanted, contents, told)


def _run(cloud: "Cloud", playbook: str, items: dict[str, dict[str, list[Item]]], wanted: Desired) -> Results:
    hosts = [host for host in wanted.hosts if host[0] in items]
    if not hosts:
        return Results()
    results = cloud.planner.run(Draft(playbook, [], items, hosts), LIMIT_SECONDS)
    if results.broken:
        raise LookFailed(results.broken)
    return results


def _of_host(listed: Results, name: str) -> dict[str, Any]:
    found = listed.outcome([(name, name)]).results
    return found[0] if found else {}


def _unread(listed: Results, name: str, info: dict[str, Any]) -> str | None:
    """Why it is not known what a host has, if it is not."""
    if not info:
        return listed.outcome([(name, name)]).error
    missing = info.get("domains") is None or info.get("contents") is None
    return "; ".join(info.get("errors") or ["it did not say what it has"]) if missing else None


def compare(session: Session, cloud: "Cloud", seen: Look) -> Drift:
    """What of *seen* is still true of the records of *session*."""
    again, moved = desired(session, cloud, seen.scope), activity.touched(session, seen.since)
    drift = Drift(seen.scope, seen.wanted, resources={**seen.wanted.resources, **again.resources})
    drift.not_checked = {**seen.wanted.closed, **seen.told.silent}
    drift.left_out = dict(seen.wanted.left_out)
    before, after = seen.wanted.index(), again.index()
    for finding in seen.told.found:
        if not _mine(drift, finding):
            continue
        if _has_moved(finding, moved, seen.wanted, before, after):
            drift.left_out.setdefault(finding.key, MOVED)
        else:
            drift.found.append(finding)
    drift.own_will = {server for server in seen.told.own_will if ("server", server) not in moved.resources}
    if seen.scope.project_id is None:
        twins = _twins(session, seen.contents)
        drift.not_checked |= {name: f"it is the same machine as {other}" for name, other in twins.items()}
        contents = {name: info for name, info in seen.contents.items() if name not in twins}
        drift.leftovers = leftovers(session, contents, moved)
    return drift


def _twins(session: Session, contents: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Hosts of which another one, by its boot, is the same machine: what is one's would be taken for a leftover."""
    real = [host for host in session.scalars(select(Host).order_by(Host.name)) if not is_null(host)]
    boots = {host.name: (host.info or {}).get("boot") for host in real}
    boots |= {name: info.get("boot") for name, info in contents.items()}
    return {
        name: other
        for name in contents
        for other, boot in boots.items()
        if other != name and boot is not None and boot == boots[name]
    }


def _mine(drift: Drift, finding: Finding) -> bool:
    """Whether what differs is in scope: a project's server may be in another's network."""
    wanted = drift.scope.project_id
    owner = drift.resources[finding.key].project_id
    # An image that is missing keeps a project's servers from being made again, whoever's image it is.
    return wanted is None or owner == wanted or finding.key[0] == "image"


def _has_moved(finding: Finding, moved: Touched, wanted: Desired, before: Index, after: Index) -> bool:
    kind, identifier = finding.key
    if finding.key in moved.resources or (kind != "server" and identifier in moved.items):
        return True
    if finding.network_id is not None:
        where = (finding.host, "networks", finding.network_id)
        own = {port for port, server in wanted.owners.items() if server == identifier}
        same: bool = _ports(before.get(where), own) == _ports(after.get(where), own)
        return not same or ("network", finding.network_id) in moved.resources
    where = (finding.host, KINDS[kind], identifier)
    return bool(_facet(kind, before.get(where)) != _facet(kind, after.get(where)))


def _ports(item: Item | None, own: set[str]) -> list[Item]:
    """A server's parts of a network's item."""
    entries = [*item["ports"], *(item["dhcp"] or {"hosts": ()})["hosts"]] if item else []
    return [entry for entry in entries if entry["id"] in own]


def _facet(kind: str, item: Item | None) -> Any:
    """What of an item is its resource's own, and not another's or new each time."""
    if item is None or kind == "server":
        return item
    if kind == "image":
        return {key: value for key, value in item.items() if key != "url"}
    dhcp = item["dhcp"] and {**item["dhcp"], "hosts": []}
    return {**item, "ports": [], "dhcp": dhcp}

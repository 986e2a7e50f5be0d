"""Drift: the differences between hosts and the records, found by two dry runs over all hosts.

The records are read before and after the runs. A difference counts only if nothing changed in between: no job worked on
the resource, and the records are the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core, Item
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host
from skywright.jobs.drift.desired import read_desired
from skywright.jobs.drift.findings import findings
from skywright.jobs.drift.leftovers import leftovers
from skywright.jobs.drift.model import (
    DRIFTED,
    LOST,
    UNKNOWN,
    Desired,
    Finding,
    Findings,
    Index,
    Leftover,
    Resource,
    Scope,
)
from skywright.jobs.engine import activity
from skywright.jobs.engine.activity import Key, Moment, Touched
from skywright.jobs.engine.results import Results
from skywright.jobs.kinds import ResourceKind, resource_kinds
from skywright.jobs.runs.draft import Draft
from skywright.jobs.runs.planner import Planner

LIMIT_SECONDS = 900.0  # 1000 servers take about ten seconds
CHANGED = "it changed during the comparison"


class ComparisonFailed(Exception):
    """The dry run failed as a whole."""


@dataclass(frozen=True)
class Look:
    """The records at one moment, and the state of the hosts after it."""

    scope: Scope
    since: Moment
    wanted: Desired
    facts: dict[str, HostFacts]
    findings: Findings


@dataclass
class Drift:
    """The differences between the hosts and the records."""

    scope: Scope
    wanted: Desired
    found: list[Finding] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    left_out: dict[Key, str] = field(default_factory=dict)
    not_checked: dict[str, str] = field(default_factory=dict)
    accepted: set[Key] = field(default_factory=set)
    resources: dict[Key, Resource] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """`drift`; `incomplete`, if no drift was found but something was not checked; or `clean`."""
        states = {finding.state for finding in self.found}
        if self.leftovers or states & {DRIFTED, LOST}:
            return "drift"
        return "incomplete" if self.not_checked or UNKNOWN in states else "clean"


def look(core: Core, planner: Planner, scope: Scope) -> Look:
    """Compare the hosts in *scope* with the records, by dry runs of *planner*."""
    with core.database.read() as session:
        since, wanted = activity.now(session), read_desired(session, core, scope)
    listing = {name: {"contents": list[Item]()} for name, _, _ in wanted.hosts}
    listed = _run(planner, "host", listing, wanted)
    facts = _facts(listed, listing)
    answering = {name: items for name, items in wanted.items.items() if name in facts}
    checked = _run(planner, "items", answering, wanted)
    found = findings(resource_kinds(core).values(), wanted, checked, facts)
    for name in listing:
        reason = _missing_contents(facts[name]) if name in facts else listed.outcome([(name, name)]).error
        if reason:
            found.silent[name] = reason
    return Look(scope, since, wanted, facts, found)


def _run(planner: Planner, playbook: str, items: dict[str, dict[str, list[Item]]], wanted: Desired) -> Results:
    hosts = [host for host in wanted.hosts if host[0] in items]
    if not hosts:
        return Results()
    results = planner.run(Draft(playbook, [], items, hosts), LIMIT_SECONDS)
    if results.broken:
        raise ComparisonFailed(results.broken)
    return results


def _facts(listed: Results, names: Iterable[str]) -> dict[str, HostFacts]:
    """Return the facts of the hosts that answered."""
    found = {name: listed.outcome([(name, name)]).results for name in names}
    return {name: HostFacts.of_result(results[0]) for name, results in found.items() if results}


def _missing_contents(facts: HostFacts) -> str | None:
    """Return why the contents of the host are not known, or None if they are."""
    missing = facts.domains is None or facts.contents is None or None in facts.contents.values()
    return "; ".join(facts.errors or ["it did not report its contents"]) if missing else None


def compare(session: Session, core: Core, seen: Look) -> Drift:
    """Return the differences in *seen* that are still valid for the records in *session*."""
    kinds = resource_kinds(core)
    again, moved = read_desired(session, core, seen.scope), activity.touched(session, core, seen.since)
    drift = Drift(seen.scope, seen.wanted, resources={**seen.wanted.resources, **again.resources})
    drift.not_checked = {**seen.wanted.closed, **seen.findings.silent}
    drift.left_out = dict(seen.wanted.left_out)
    comparison = _RecordComparison(kinds, moved, seen.wanted, seen.wanted.index(), again.index())
    for finding in seen.findings.found:
        if not _in_scope(kinds, drift, finding):
            continue
        if comparison.has_changed(finding):
            drift.left_out.setdefault(finding.key, CHANGED)
        else:
            drift.found.append(finding)
    drift.accepted = seen.findings.accepted - moved.resources
    if seen.scope.project_id is None:
        duplicates = _duplicates(session, seen.facts)
        drift.not_checked |= {name: f"it is the same machine as {other}" for name, other in duplicates.items()}
        facts = {name: facts for name, facts in seen.facts.items() if name not in duplicates}
        drift.leftovers = leftovers(kinds.values(), session, facts, moved)
    return drift


def _duplicates(session: Session, facts: dict[str, HostFacts]) -> dict[str, str]:
    """Return {host: other host} for hosts that are the same machine, by their boot ids. What belongs to one of them
    would look like a leftover of the other.
    """
    real = [host for host in session.scalars(select(Host).order_by(Host.name)) if not host.is_null]
    boots = {host.name: host.facts.boot for host in real}
    boots |= {name: host_facts.boot for name, host_facts in facts.items()}
    return {
        name: other
        for name in facts
        for other, boot in boots.items()
        if other != name and boot is not None and boot == boots[name]
    }


def _in_scope(kinds: dict[str, ResourceKind], drift: Drift, finding: Finding) -> bool:
    """Return whether the finding is in scope: a project's servers may need a network of another project."""
    wanted = drift.scope.project_id
    owner = drift.resources[finding.key].project_id
    return wanted is None or owner == wanted or kinds[finding.key[0]].shared


@dataclass(frozen=True)
class _RecordComparison:
    """The records before and after the dry runs."""

    kinds: dict[str, ResourceKind]
    moved: Touched
    wanted: Desired
    before: Index
    after: Index

    def has_changed(self, finding: Finding) -> bool:
        """Return whether a job worked on the resource, or its record is not the same as before."""
        key, carrier = finding.key, finding.carrier
        if key in self.moved.resources or key[1] in self.moved.items or carrier in self.moved.resources:
            return True
        kind = self.kinds[(carrier or key)[0]]
        where = (finding.host, kind.item_kind, (carrier or key)[1])
        old, new = self.before.get(where), self.after.get(where)
        if carrier is None:
            return (old and kind.own(old)) != (new and kind.own(new))
        ids = {part for part, owner in self.wanted.owners.items() if owner == key}
        return (kind.parts(old, ids) if old else []) != (kind.parts(new, ids) if new else [])

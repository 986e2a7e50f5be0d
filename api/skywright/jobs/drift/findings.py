"""Findings: the results of modules in check mode as texts, one resource after another.

An item may include parts of other resources, such as the ports of servers in a network's item. Differences of such a
part are reported for the resource that owns it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from skywright.db.host_facts import HostFacts
from skywright.jobs.drift.model import LOST, UNKNOWN, Desired, Finding, Findings
from skywright.jobs.engine.results import Results
from skywright.jobs.kinds import ResourceKind


def findings(
    kinds: Iterable[ResourceKind], desired: Desired, results: Results, facts: Mapping[str, HostFacts]
) -> Findings:
    """Return the findings in the *results* of a dry run of the items in *desired*, on hosts with *facts*."""
    found = Findings(facts)
    by_item_kind: Mapping[str, ResourceKind] = {kind.item_kind: kind for kind in kinds}
    for host, item_kind, item in desired.entries():
        kind = by_item_kind[item_kind]
        outcome = results.outcome([(host, item["id"])])
        if not outcome.results:
            found.silent.setdefault(host, outcome.error or "it returned no result")
        for result in outcome.results:
            base = Finding((kind.name, item["id"]), host, result["module"], "", action=result.get("action"))
            if result.get("error"):
                state, text = kind.describe_error(base, result)
                found.found.append(replace(base, text=text, state=state, action=None))
            elif result.get("changed"):
                found.found += kind.describe(base, result, desired, found)
    lost = {finding.key for finding in found.found if finding.state == LOST}
    # A difference that only follows from the lost resource is not reported.
    found.found = [finding for finding in found.found if finding.key not in lost or finding.state != UNKNOWN]
    return found

"""What differs: the results of modules in check mode, in words, resource by resource.

An item may carry parts of other resources, as a network's does of servers: these are told of their owners.
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
    """What check mode said of the items of *desired*, on hosts with *facts*."""
    found = Findings(facts)
    by_item_kind: Mapping[str, ResourceKind] = {kind.item_kind: kind for kind in kinds}
    for host, item_kind, item in desired.entries():
        kind = by_item_kind[item_kind]
        outcome = results.outcome([(host, item["id"])])
        if not outcome.results:
            found.silent.setdefault(host, outcome.error or "it said nothing")
        for result in outcome.results:
            base = Finding((kind.name, item["id"]), host, result["module"], "", action=result.get("action"))
            if result.get("error"):
                state, text = kind.describe_error(base, result)
                found.found.append(replace(base, text=text, state=state, action=None))
            elif result.get("changed"):
                found.found += kind.describe(base, result, desired, found)
    lost = {finding.key for finding in found.found if finding.state == LOST}
    # That nothing else can be done without what is lost needs no words.
    found.found = [finding for finding in found.found if finding.key not in lost or finding.state != UNKNOWN]
    return found

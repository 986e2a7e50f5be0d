"""Repair: jobs that converge drifted resources, one for each resource, so that the history of the resource shows it.

They are rendered from the current records when they run: an older state is never restored.
"""

from skywright.db.jobs import Job
from skywright.jobs.drift.comparison import Drift
from skywright.jobs.drift.model import DRIFTED, LOST, Leftover
from skywright.jobs.engine.activity import Key
from skywright.jobs.engine.submit import Request, submit
from skywright.jobs.kinds import CONVERGE, resource_kinds


def repair(request: Request, drift: Drift, *, recreate_disks: bool, tidy: bool) -> list[Job]:
    """Queue the jobs that converge the hosts, in the transaction that made *drift*.

    A resource whose data is lost is skipped, unless it may be recreated without its users' data.
    """
    kinds = resource_kinds(request.core)
    lost = {finding.key for finding in drift.found if finding.state == LOST}
    hosts: dict[Key, set[str]] = {}
    for finding in drift.found:
        recreate = recreate_disks and finding.key in lost and kinds[finding.key[0]].replaceable
        if (finding.state == DRIFTED and finding.key not in lost) or recreate:
            hosts.setdefault(finding.key, set()).add(finding.host)
    for kind, identifier in drift.accepted:
        kinds[kind].accept(request.db, identifier)
    jobs = []
    for key, names in hosts.items():
        arguments = kinds[key[0]].converge_arguments(key, sorted(names), recreate=key in lost)
        jobs.append(submit(request, key[0], CONVERGE, [key], arguments))
    if tidy:
        # In the order of the kinds: resources that others use are removed last.
        order = list(kinds)
        jobs += [_tidy(request, one) for one in sorted(drift.leftovers, key=lambda one: order.index(one.kind))]
    return jobs


def _tidy(request: Request, one: Leftover) -> Job:
    action, arguments = resource_kinds(request.core)[one.kind].tidy(one)
    return submit(request, one.kind, action, [one.key, *sorted(one.locks)], arguments)

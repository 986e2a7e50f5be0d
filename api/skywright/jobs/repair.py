"""Converging: the jobs that repair what drifted, one a resource, so that each resource's history tells of it.

They are rendered from the records when they run: nothing is ever repaired to an older state.
"""

from typing import TYPE_CHECKING

from skywright.db.compute import Server
from skywright.db.jobs import Job
from skywright.jobs.activity import Key
from skywright.jobs.drift import Drift
from skywright.jobs.findings import DRIFTED, LOST
from skywright.jobs.leftovers import Leftover
from skywright.jobs.playbooks.server_outcomes import CONVERGE, TIDY
from skywright.jobs.submit import submit

if TYPE_CHECKING:
    from skywright.http.context import Context


def repair(context: "Context", drift: Drift, *, recreate_disks: bool, tidy: bool) -> list[Job]:
    """Queue what makes hosts as the records say; in the transaction in which *drift* was compared.

    A server whose disk is lost is left alone, unless its disk may be made anew, empty of what its user stored.
    """
    lost = {finding.key for finding in drift.found if finding.state == LOST}
    hosts: dict[Key, set[str]] = {}
    for finding in drift.found:
        anew = recreate_disks and finding.key in lost and finding.key[0] == "server"
        if (finding.state == DRIFTED and finding.key not in lost) or anew:
            hosts.setdefault(finding.key, set()).add(finding.host)
    _heed(context, drift)
    jobs = [_converge(context, key, names, anew=key in lost) for key, names in hosts.items()]
    if tidy:
        # Images last: the directories that hold them in use are to go first.
        jobs += [_tidy(context, one) for one in sorted(drift.leftovers, key=lambda one: one.kind == "image")]
    return jobs


def _heed(context: "Context", drift: Drift) -> None:
    """Record that guests shut themselves down, before a job could start them."""
    for server_id in drift.own_will:
        server = context.db.get(Server, server_id)
        if server is not None and server.status == "ACTIVE":
            server.power, server.status, server.power_state = "shutoff", "SHUTOFF", 4


def _converge(context: "Context", key: Key, hosts: set[str], *, anew: bool) -> Job:
    kind, identifier = key
    if kind == "server":
        return submit(context, "server", CONVERGE, [key], {"recreate_disk": True} if anew else {})
    arguments = {"hosts": sorted(hosts)} | ({"network_id": identifier} if kind == "network" else {})
    return submit(context, kind, CONVERGE, [key], arguments)


def _tidy(context: "Context", one: Leftover) -> Job:
    others = [("server", server) for server in sorted(one.servers)]
    if one.kind == "image":
        return submit(context, "image", "delete", [("image", one.id), *others])
    if one.kind == "server":
        arguments = {"server_id": one.id, "host": one.host, "ports": []}
        return submit(context, "server", TIDY, [("server", one.id)], arguments)
    arguments = {"network_id": one.id, "host": one.host, "ports": sorted(one.ports), "peers": sorted(one.peers)}
    return submit(context, "network", TIDY, [("network", one.id), *others], arguments)

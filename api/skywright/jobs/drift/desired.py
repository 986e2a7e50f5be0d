"""The desired state: what hosts should have according to the records, for all resources at once. Reading it writes
nothing.

Not included are resources with an unfinished job, which will converge them, and resources whose desired state is not
known, such as servers in ERROR.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import Core
from skywright.db.jobs import Host
from skywright.jobs.drift.model import Desired, Reading, Scope
from skywright.jobs.engine.activity import unfinished
from skywright.jobs.engine.host_state import current_holds
from skywright.jobs.kinds import resource_kinds


def read_desired(session: Session, core: Core, scope: Scope) -> Desired:
    """Return the desired state of the resources in *scope*."""
    # A null host stores nothing, so there is nothing to compare.
    rows = (row for row in session.scalars(select(Host)) if not row.is_null)
    hosts = {row.name: row for row in rows if not row.in_overcloud}
    desired = Desired()
    compared = _compared(session, scope, hosts, desired)
    reading = Reading(session, core, scope, hosts, compared, unfinished(session, core), desired)
    for kind in resource_kinds(core).values():
        kind.read_desired(reading)
    return desired


def _compared(session: Session, scope: Scope, hosts: dict[str, Host], desired: Desired) -> dict[str, Host]:
    """Return the hosts in *scope* that can be compared."""
    wanted = {name: host for name, host in hosts.items() if scope.host in (None, name)}
    holds = current_holds(session)
    desired.closed = {name: holds[name].reason for name in sorted(wanted.keys() & holds.keys())}
    compared = {name: host for name, host in sorted(wanted.items()) if name not in holds}
    desired.hosts = [(name, list(host.groups), dict(host.variables)) for name, host in compared.items()]
    return compared

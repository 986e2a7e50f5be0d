"""Requests outlive the database's absence: one that did nothing is done again; if that is not sure, it is looked up."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import select

from skywright.db import Database, Outage, utcnow
from skywright.db.database import Pauses
from skywright.db.operations import Audit
from skywright.db.rehearsal import Rehearsal
from skywright.http import audit

# No clocks of two machines differ so much, and no request takes so long.
RECENT = timedelta(hours=1)


def persevere(database: Database, attempt: Callable[[], None], *, repeatable: bool) -> None:
    """Do *attempt*, again after an Outage as long as there is patience; an Outage if there is none.

    *repeatable*: it does nothing but one transaction of its own, so that it has done nothing if that one failed.
    """
    pauses = Pauses()
    while True:
        try:
            attempt()
            return
        except Outage as outage:
            if not repeatable or isinstance(database, Rehearsal):
                raise
            if outage.uncertain and _took_place(database, outage, pauses):
                return
            if not pauses.wait():
                raise


def _took_place(database: Database, outage: Outage, pauses: Pauses) -> bool:
    """Whether the transaction of the request was committed: if so, its audit record was, too."""
    pending = audit.current()
    if pending is None:
        raise outage
    query = select(Audit.sequence).where(Audit.at > utcnow() - RECENT, Audit.request_id == pending.request_id)
    found = None
    with suppress(Outage), audit.recording(None), database.write(pauses.left) as session:
        # Who has the writers' lock knows that the lost transaction is over, one way or the other.
        found = session.scalars(query).all()
    if found is None:
        raise outage
    if found:
        pending.recorded = pending.expected
        for call in outage.calls.values():
            call()
    return bool(found)

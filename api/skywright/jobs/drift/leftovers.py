"""Leftovers: what carries the cloud's marks on a host and is in no record.

Only what has an id of the kind that the API gives: things that `playbooks/cloud.yml` declares carry the same marks,
but ids made from their names.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from sqlalchemy.orm import Session

from skywright.db.host_facts import ContentsUnknown, HostFacts
from skywright.jobs.drift.model import Leftover, Records
from skywright.jobs.engine.activity import Touched
from skywright.jobs.kinds import ResourceKind


def leftovers(
    kinds: Iterable[ResourceKind], session: Session, facts: Mapping[str, HostFacts], moved: Touched
) -> list[Leftover]:
    """What hosts have and no record knows."""
    records = Records(session, moved)
    all_found: list[Leftover] = []
    for host in sorted(facts):
        found: list[Leftover] = []
        for kind in kinds:
            with suppress(ContentsUnknown):
                found += kind.leftovers(records, host, facts[host], found)
        all_found += found
    return all_found

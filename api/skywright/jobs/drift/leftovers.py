"""Leftovers: objects on hosts that have the cloud's marks but no record.

Only objects whose id is a random UUID, as the API assigns them: objects that `playbooks/cloud.yml` declares have the
same marks, but ids that are derived from their names.
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
    """Return the objects on hosts that have no record."""
    records = Records(session, moved)
    all_found: list[Leftover] = []
    for host in sorted(facts):
        found: list[Leftover] = []
        for kind in kinds:
            with suppress(ContentsUnknown):
                found += kind.leftovers(records, host, facts[host], found)
        all_found += found
    return all_found

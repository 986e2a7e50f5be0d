"""Leftovers: what carries the cloud's marks on a host and is in no record.

Only what has an id of the kind that the API gives: things that `playbooks/cloud.yml` declares carry the same marks,
but ids made from their names.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from skywright.jobs.drift.model import Leftover, Records
from skywright.jobs.engine.activity import Touched
from skywright.jobs.kinds import ResourceKind


def leftovers(
    kinds: Iterable[ResourceKind], session: Session, contents: dict[str, dict[str, Any]], moved: Touched
) -> list[Leftover]:
    """Of what hosts said that they have ({host: host_info's answer}), what no record knows."""
    records = Records(session, moved)
    all_found: list[Leftover] = []
    for host, info in sorted(contents.items()):
        found: list[Leftover] = []
        for kind in kinds:
            found += kind.leftovers(records, host, info, found)
        all_found += found
    return all_found

"""Tag filters of lists, the same in every service.

https://specs.openstack.org/openstack/api-sig/guidelines/tags.html
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, func, or_, type_coerce

Clause = ColumnElement[bool]
FILTERS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})


def clause(name: str, tags: Sequence[str], holds: Callable[[str], Clause]) -> Clause:
    """Return the clause of the filter *name*, one of FILTERS, for *tags*; *holds* returns the clause for rows with a
    tag.
    """
    held = [holds(tag) for tag in tags]
    found = and_(*held) if name in ("tags", "not-tags") else or_(*held)
    return ~found if name.startswith("not-") else found


def among(column: Any) -> Callable[[str], Clause]:
    """Return the clause for rows with a tag in *column*, a list stored as JSON. Tags contain no comma."""
    text = type_coerce(column, Text)

    def holds(tag: str) -> Clause:
        # In the list `["a", "b"]`, the opening quote of a tag follows `[` or a space; a quote within a tag follows `\`.
        quoted = json.dumps(tag)
        return or_(func.instr(text, f"[{quoted}") > 0, func.instr(text, f", {quoted}") > 0)

    return holds

"""Values in query strings. Functions raise ValueError for invalid values; services have their own messages."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_

# As oslo.utils' strutils.bool_from_string, which all OpenStack services use.
TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
LARGEST = (1 << 63) - 1  # the largest integer of all databases
_NATURAL = re.compile(r"[0-9]{1,19}", re.ASCII)


def boolean(text: str, default: bool | None = None) -> bool:
    """Return the boolean in *text*, in any case (`True`, `no`, `1`). Other texts mean *default*, if there is one."""
    word = text.strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    if default is None:
        raise ValueError(f"'{text}' is not a boolean")
    return default


def natural(text: str) -> int:
    """Return an integer from 0 to LARGEST."""
    if not _NATURAL.fullmatch(text) or int(text) > LARGEST:
        raise ValueError(f"'{text}' is not an integer of 0 or more")
    return int(text)


def integer(text: str) -> int:
    """Return an integer, which may be negative."""
    return -natural(text[1:]) if text.startswith("-") else natural(text)


def moment(text: str) -> datetime:
    """Return an ISO 8601 date and time (UTC unless it has a zone) as naive UTC, as the database stores it."""
    try:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is not a date and time") from None


def end_of(moment: datetime) -> datetime:
    """Return the first moment after *moment*, which means a whole second if it has no microseconds.

    Most times in responses have no microseconds, while the database has them.
    """
    return moment + (timedelta(microseconds=1) if moment.microsecond else timedelta(seconds=1))


def within(column: Any, moment: datetime) -> ColumnElement[bool]:
    """Return the clause for rows whose *column* is shown as *moment*."""
    return and_(column >= moment, column < end_of(moment))

"""Values in query strings. A ValueError says that a text is none; each service has its own words for that."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_

# As oslo.utils' strutils.bool_from_string reads them, which all of OpenStack uses.
TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
LARGEST = (1 << 63) - 1  # what every database can compare
_NATURAL = re.compile(r"[0-9]{1,19}", re.ASCII)


def boolean(text: str, default: bool | None = None) -> bool:
    """`True`, `no`, `1`..., whatever the case; *default*, if there is one, is what any other text means."""
    word = text.strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    if default is None:
        raise ValueError(f"'{text}' is not a boolean")
    return default


def natural(text: str) -> int:
    """A number from 0 to LARGEST."""
    if not _NATURAL.fullmatch(text) or int(text) > LARGEST:
        raise ValueError(f"'{text}' is not an integer of 0 or more")
    return int(text)


def integer(text: str) -> int:
    """A number, which may be negative."""
    return -natural(text[1:]) if text.startswith("-") else natural(text)


def moment(text: str) -> datetime:
    """A date and time of ISO 8601, UTC unless it names a zone, as the naive UTC that the database stores."""
    try:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is not a date and time") from None


def end_of(moment: datetime) -> datetime:
    """The first moment that is later than what *moment* says: without microseconds it says a whole second.

    Most of what is shown has no microseconds, while the database has them.
    """
    return moment + (timedelta(microseconds=1) if moment.microsecond else timedelta(seconds=1))


def within(column: Any, moment: datetime) -> ColumnElement[bool]:
    """Whether *column* is shown as *moment*."""
    return and_(column >= moment, column < end_of(moment))

"""Exponential backoff: pauses between tries that double up to a limit."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T", float, timedelta)
MOST_DOUBLINGS = 16


@dataclass(frozen=True)
class Backoff(Generic[T]):
    """Pauses from *first* to *last*, in seconds or as timedeltas."""

    first: T
    last: T

    def pause(self, earlier: int) -> T:
        """The pause before the next try, when so many pauses were *earlier*."""
        return min(self.first * (1 << min(earlier, MOST_DOUBLINGS)), self.last)

"""Exponential backoff: pauses between attempts that double up to a limit."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T", float, timedelta)
MAX_DOUBLINGS = 16


@dataclass(frozen=True)
class Backoff(Generic[T]):
    """Pauses from *first* to *longest*, in seconds or as timedeltas."""

    first: T
    longest: T

    def pause(self, failures: int) -> T:
        """Return the pause after *failures* earlier pauses."""
        return min(self.first * (1 << min(failures, MAX_DOUBLINGS)), self.longest)

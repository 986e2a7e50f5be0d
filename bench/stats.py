"""Rows of the results: values with their unit, median and target."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Target:
    """A limit for the median: at most *limit*; with *least*, at least *limit*."""

    limit: float
    least: bool = False

    def met(self, median: float) -> bool:
        return median >= self.limit if self.least else median <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {number(self.limit)}"


@dataclass(frozen=True)
class Row:
    """One line of the table. Units: s, /s, x (a ratio), MB, %."""

    name: str
    unit: str
    values: list[float]
    target: Target | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"{self.name}: nothing was measured")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        return None if self.target is None else self.target.met(self.median)

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        summary: dict[str, Any] = {
            "unit": self.unit,
            "n": len(self.values),
            "median": round(self.median, 5),
            "min": round(min(self.values), 5),
            "max": round(max(self.values), 5),
            **self.detail,
        }
        if self.target is not None:
            summary |= {"target": str(self.target), "met": self.met}
        return summary


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratios of the values of each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def number(value: float) -> str:
    """Format *value* with about three significant digits, without an exponent."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 4
    return f"{value:.{digits}f}"

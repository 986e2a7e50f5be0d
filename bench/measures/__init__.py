"""What is measured: each module has one function that yields rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cloud import Cloud
from bench.stats import Row


@dataclass(frozen=True)
class Context:
    """What a measure gets."""

    cloud: Cloud
    root: Path  # the checkout
    rounds: int


Measure = Callable[[Context], Iterator[Row]]

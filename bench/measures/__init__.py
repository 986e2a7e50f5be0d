"""What is measured: each module has one function that yields rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.cloud import Cloud
from bench.stats import Row


@dataclass
class Context:
    """What a measure gets. Measures that start an API of their own need no cloud."""

    find_cloud: Callable[[], Cloud]
    root: Path  # the checkout
    rounds: int

    @cached_property
    def cloud(self) -> Cloud:
        """The running cloud."""
        return self.find_cloud()


Measure = Callable[[Context], Iterator[Row]]

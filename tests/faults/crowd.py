"""Clients that repeat the same work, each in its own thread."""

import threading
from collections.abc import Callable, Sequence
from typing import Self


class Crowd:
    """While entered, repeats each of *work*, *pause* seconds apart; the last repetition may take *patience* seconds."""

    def __init__(self, work: Sequence[Callable[[], None]], pause: float, patience: float) -> None:
        self.stopping = threading.Event()
        self._pause, self._patience = pause, patience
        self._threads = [threading.Thread(target=self._again, args=[each], daemon=True) for each in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(self._patience)

    def _again(self, work: Callable[[], None]) -> None:
        while not self.stopping.wait(self._pause):
            work()

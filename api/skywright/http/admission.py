"""Requests that cost as much as a run of Ansible: few at once, few that wait, and the rest refused at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request

from skywright.errors import Unavailable

T = TypeVar("T")


@dataclass
class _Standing:
    limiter: anyio.CapacityLimiter
    # The limiter's own count is behind: it knows who came at the same moment only after all of them were let in.
    length: int = 0


@dataclass
class Line:
    """At most *running* requests of an application run in threads of their own, and *waiting* wait for that.

    Threads of their own, since requests that wait for Ansible must not take those of all others.
    """

    running: int
    waiting: int
    refusal: str
    _standing: WeakKeyDictionary[FastAPI, _Standing] = field(default_factory=WeakKeyDictionary)

    async def run(self, request: Request, function: Callable[..., T], *args: Any) -> T:
        """The function's result; `Unavailable` if too many wait."""
        line = self._standing.setdefault(request.app, _Standing(anyio.CapacityLimiter(self.running)))
        if line.length >= self.running + self.waiting:
            raise Unavailable(self.refusal)
        line.length += 1
        try:
            return await anyio.to_thread.run_sync(function, *args, limiter=line.limiter)
        finally:
            line.length -= 1

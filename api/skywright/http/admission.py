"""Admission control for requests that cost as much as a run of Ansible: a few run, a few wait, others are refused."""

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
class _Load:
    limiter: anyio.CapacityLimiter
    # The limiter counts a request only after it began; of requests that arrive together, all would be admitted.
    count: int = 0


@dataclass
class AdmissionLimit:
    """At most *running* requests of an application run at a time, in their own threads, and at most *waiting* wait.

    They have their own threads, so that requests that wait for Ansible do not block other requests.
    """

    running: int
    waiting: int
    refusal: str
    _loads: WeakKeyDictionary[FastAPI, _Load] = field(default_factory=WeakKeyDictionary)

    async def run(self, request: Request, function: Callable[..., T], *args: Any) -> T:
        """Return the result of *function*; raise `Unavailable` if too many requests wait."""
        load = self._loads.setdefault(request.app, _Load(anyio.CapacityLimiter(self.running)))
        if load.count >= self.running + self.waiting:
            raise Unavailable(self.refusal)
        load.count += 1
        try:
            return await anyio.to_thread.run_sync(function, *args, limiter=load.limiter)
        finally:
            load.count -= 1

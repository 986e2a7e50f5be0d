"""The limit of simultaneous requests that run Ansible."""

import asyncio
from threading import Event

from fastapi import FastAPI, Request

from skywright.errors import Unavailable
from skywright.http.admission import AdmissionLimit


def test_simultaneous_requests_are_counted() -> None:
    limit, request, go_on = AdmissionLimit(1, 2, "Too many."), Request({"type": "http", "app": FastAPI()}), Event()

    async def ask() -> list[bool | BaseException]:
        asked = [asyncio.ensure_future(limit.run(request, go_on.wait, 20)) for _ in range(5)]
        refused, _ = await asyncio.wait(asked, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        go_on.set()
        assert len(refused) == 2
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(ask())
    assert answers[:3] == [True] * 3 and all(isinstance(one, Unavailable) for one in answers[3:])
    assert asyncio.run(limit.run(request, lambda: "free again")) == "free again"

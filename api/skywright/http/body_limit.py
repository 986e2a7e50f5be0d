"""Requests are bounded: a body beyond the limit is refused with 413, however its length is announced."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
from starlette.exceptions import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

DRAIN_SECONDS = 5.0


def limit_body(scope: MutableMapping[str, Any], receive: Receive, limit: int) -> Receive:
    """*receive*, raising an HTTPException once the body of *scope*'s request is known to be beyond *limit* bytes."""
    headers = dict(scope["headers"])
    announced = headers.get(b"content-length", b"")
    waits = b"expect" in headers  # such a client sends nothing before it is told to
    received = 0

    async def bounded() -> Message:
        nonlocal received
        if announced.isdigit() and int(announced) > limit:
            await _refuse(receive, limit, more=not waits)
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            await _refuse(receive, limit, more=message.get("more_body", False))
        return message

    return bounded


async def drain(receive: Receive) -> None:
    """Read what a refused client still sends, for a moment: one that cannot send does not read the answer."""
    more = True
    with anyio.move_on_after(DRAIN_SECONDS):
        while more:
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)


async def _refuse(receive: Receive, limit: int, *, more: bool) -> None:
    if more:
        await drain(receive)
    raise HTTPException(413, f"The request body may not be larger than {limit} bytes.")

"""The limit of request bodies: larger ones are refused with 413, with and without a Content-Length."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
from starlette.exceptions import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

DRAIN_SECONDS = 5.0


def limit_body(scope: MutableMapping[str, Any], receive: Receive, limit: int) -> Receive:
    """Return a *receive* that raises HTTPException when the body of *scope*'s request exceeds *limit* bytes."""
    headers = dict(scope["headers"])
    announced = headers.get(b"content-length", b"")
    waits = b"expect" in headers  # such a client sends the body only after a 100 response
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
    """Read for a moment what a refused client still sends: otherwise it may not read the response."""
    more = True
    with anyio.move_on_after(DRAIN_SECONDS):
        while more:
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)


async def _refuse(receive: Receive, limit: int, *, more: bool) -> None:
    if more:
        await drain(receive)
    raise HTTPException(413, f"The request body may not be larger than {limit} bytes.")

"""Image data on its way through the API, with bounded memory."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from skywright.services.image.store import Upload

BLOCK = 1 << 20
# How long a refused client may go on sending, so that it comes to read the answer.
DRAIN_SECONDS = 5.0


class Body:
    """The request's body as it comes."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._ended = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while not self._ended:
            message = await self._request.receive()
            if message["type"] != "http.request":
                self._ended = True
                raise ClientDisconnect
            self._ended = not message.get("more_body", False)
            yield message.get("body", b"")

    async def drain(self) -> None:
        """Read what a refused client still sends, for a moment: one that cannot send does not read the answer."""
        if "expect" in self._request.headers:
            return  # it waits for the answer before it sends
        with anyio.move_on_after(DRAIN_SECONDS), contextlib.suppress(ClientDisconnect):
            async for _ in self.chunks():
                pass


async def copy(source: AsyncIterator[bytes], upload: Upload) -> None:
    """Write the data in blocks: a thread for each small chunk would cost more than the writing."""
    block = bytearray()
    async for chunk in source:
        block += chunk
        if len(block) >= BLOCK:
            await run_in_threadpool(upload.write, bytes(block))
            block.clear()
    await run_in_threadpool(upload.write, bytes(block))


async def blocks(path: Path) -> AsyncIterator[bytes]:
    """The content of a file."""
    with path.open("rb") as file:
        while block := await run_in_threadpool(file.read, BLOCK):
            yield block

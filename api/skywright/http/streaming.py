"""Request and response bodies of any size, with bounded memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from skywright.errors import ApiError, Unavailable
from skywright.http.body_limit import drain
from skywright.http.context import Context
from skywright.http.retry import retry
from skywright.http.router import cloud_of, request_context

T = TypeVar("T")
BLOCK = 1 << 20


class FileContent(FileResponse):
    """A file, or ranges of it, in larger blocks than Starlette's, because each block costs a thread switch."""

    chunk_size = 256 * 1024


@asynccontextmanager
async def receiving(request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
    """Return the body of *request* as a stream. Raises ClientDisconnect if it is incomplete; Service handles that."""
    body = _Body(request)
    try:
        yield body.chunks()
    except ApiError as error:
        await body.drain()
        if isinstance(error, Unavailable):
            # Clients repeat a request after 503 with the rest of their file, which is empty and would be stored.
            raise ApiError(error.message, status=500) from error
        raise


class _Body:
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
        # A client that expects 100 Continue waits for the response before it sends.
        if not self._ended and "expect" not in self._request.headers:
            await drain(self._request.receive)


async def copy(source: AsyncIterator[bytes], write: Callable[[bytes], None]) -> None:
    """Write *source* in blocks, in threads: a thread switch for each small chunk would cost more than writing it."""
    block = bytearray()
    async for chunk in source:
        block += chunk
        if len(block) >= BLOCK:
            await run_in_threadpool(write, bytes(block))
            block.clear()
    await run_in_threadpool(write, bytes(block))


async def blocks(path: Path) -> AsyncIterator[bytes]:
    """Yield the content of a file in blocks."""
    with path.open("rb") as file:
        while block := await run_in_threadpool(file.read, BLOCK):
            yield block


async def read(request: Request, work: Callable[[Context], T], *, anonymous: bool = False) -> T:
    """Return the result of *work* for the context of *request*, in a thread and a read transaction; see
    `request_context`.
    """
    found: list[T] = []

    def attempt() -> None:
        with request_context(request, write=False, plannable=True, anonymous=anonymous) as context:
            found.append(work(context))

    await run_in_threadpool(retry, cloud_of(request).database, attempt, repeatable=True)
    return found[-1]

"""The other end of a console's link: the page, and the WebSocket that joins its browser with the server's screen.

A screen is a UNIX socket on the server's host, which no network reaches: each console has an SSH connection of its own.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from skywright.db import DatabaseUnavailable
from skywright.errors import ApiError, Conflict, NotFound, Unavailable
from skywright.http import Router
from skywright.http.router import json_response
from skywright.services.compute.errors import render_error
from skywright.services.compute.remote_consoles import Screen, admit

log = logging.getLogger(__name__)
router = Router()

CHUNK = 64 * 1024
GREETING_SECONDS = 15.0
UNSUPPORTED_DATA = 1003
# How virsh says that the server has no screen.
MISSING = "No graphical display"
# The consoles of this process.
_open: set[object] = set()


@router.get("/console/{path:path}", include_in_schema=False)
async def page(request: Request, path: str) -> Response:
    """A file of noVNC's."""
    root: Path = request.app.state.cloud.settings.console_pages
    if not root.is_dir():
        raise ApiError("There is no noVNC on this controller: consoles have no page, only their WebSocket.", status=501)
    file = (root / path.replace("\0", "")).resolve()
    if not file.is_relative_to(root.resolve()) or not file.is_file():
        raise NotFound("The resource could not be found.")
    return FileResponse(file)


@router.websocket("/console/socket")
async def connect(websocket: WebSocket) -> None:
    cloud = websocket.app.state.cloud
    try:
        screen = await run_in_threadpool(admit, cloud, websocket.query_params.get("token", ""))
        async with _place(cloud.settings.consoles):
            await _show(websocket, screen)
    except (ApiError, DatabaseUnavailable) as error:
        refused = error if isinstance(error, ApiError) else Unavailable("The database does not answer.")
        log.info("console refused: %s", refused.message)
        await websocket.send_denial_response(json_response(render_error(refused), refused.status))


@contextlib.asynccontextmanager
async def _place(limit: int) -> AsyncIterator[None]:
    """One of the *limit* consoles that this process has."""
    if len(_open) >= limit:
        raise Unavailable("There are too many open consoles.")
    place = object()
    _open.add(place)
    try:
        yield
    finally:
        _open.discard(place)


async def _show(websocket: WebSocket, screen: Screen) -> None:
    """Join *websocket* and *screen* until either ends; ApiError when the screen is not reached."""
    began = time.monotonic()
    async with _reached(screen) as (reader, writer, greeting):
        # Old clients ask for a protocol of this name, which means what is the only way today.
        await websocket.accept("binary" if "binary" in websocket.scope["subprotocols"] else None)
        log.info("console of server %s opened", screen.server_id)
        try:
            await _relay(websocket, reader, writer, greeting)
        finally:
            log.info(
                "console of server %s closed", screen.server_id, extra={"seconds": round(time.monotonic() - began)}
            )


@contextlib.asynccontextmanager
async def _reached(screen: Screen) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]]:
    """A stream from and to *screen*, and the first that came from it. SSH ends with it, however that comes."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=CHUNK)
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *screen.command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=asyncio.subprocess.PIPE
            )
        try:
            yield reader, writer, await _greeting(screen, process, reader)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    finally:
        writer.close()


async def _greeting(screen: Screen, process: asyncio.subprocess.Process, reader: asyncio.StreamReader) -> bytes:
    """What the screen says first."""
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            if greeting := await reader.read(CHUNK):
                return greeting
            assert process.stderr is not None
            said = (await process.stderr.read(CHUNK)).decode(errors="replace").strip()
    except (TimeoutError, ConnectionError) as error:
        said = type(error).__name__
    log.warning("the screen of server %s on %s is not reached: %s", screen.server_id, screen.host, said)
    if MISSING in said:
        raise Conflict("The server was booted before it had a screen; a hard reboot gives it one.")
    raise Unavailable("The server's screen is not reached: its host does not answer, or the server just ended.")


async def _relay(
    websocket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes
) -> None:
    """Both directions until one ends; neither takes more than the other side of it is ready for."""
    ways = [
        asyncio.create_task(_to_browser(websocket, reader, greeting)),
        asyncio.create_task(_to_screen(websocket, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        for ended in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, OSError | WebSocketDisconnect):
                log.error("a console failed", exc_info=ended)


async def _to_browser(websocket: WebSocket, reader: asyncio.StreamReader, data: bytes) -> None:
    while data:
        await websocket.send_bytes(data)
        data = await reader.read(CHUNK)
    await websocket.close(reason="the server's screen is gone")


async def _to_screen(websocket: WebSocket, writer: asyncio.StreamWriter) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("bytes") is None:
            await websocket.close(UNSUPPORTED_DATA, "a screen takes binary frames")
            return
        writer.write(message["bytes"])
        await writer.drain()

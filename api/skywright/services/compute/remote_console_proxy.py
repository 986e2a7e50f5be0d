"""The console proxy: noVNC's page, and the WebSocket that connects a browser with the server's VNC display.

A display is a UNIX socket on the server's host, without a network address: each console has its own SSH connection.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

from fastapi import Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from skywright.db import DatabaseUnavailable
from skywright.errors import ApiError, Conflict, NotFound, Unavailable
from skywright.http import Router
from skywright.http.router import json_response
from skywright.services.compute.errors import render_error
from skywright.services.compute.remote_consoles import Display, admit

log = logging.getLogger(__name__)
router = Router()

CHUNK = 64 * 1024
GREETING_SECONDS = 15.0
UNSUPPORTED_DATA = 1003
# virsh's message if the server has no display.
MISSING = "No graphical display"
# The open consoles of this process.
_open: set[object] = set()


@router.get("/console/{path:path}", include_in_schema=False)
async def page(request: Request, path: str) -> Response:
    """Return a file of noVNC."""
    root: Path = request.app.state.cloud.settings.console_pages
    if not root.is_dir():
        raise ApiError("noVNC is not installed on this controller: consoles have only a WebSocket.", status=501)
    file = (root / path.replace("\0", "")).resolve()
    if not file.is_relative_to(root.resolve()) or not file.is_file():
        raise NotFound("The resource could not be found.")
    return FileResponse(file)


@router.websocket("/console/socket")
async def connect(websocket: WebSocket) -> None:
    cloud = websocket.app.state.cloud
    try:
        screen = await run_in_threadpool(admit, cloud, websocket.query_params.get("token", ""))
        async with _console_slot(cloud.settings.consoles):
            await _show(websocket, screen)
    except (ApiError, DatabaseUnavailable) as error:
        refused = error if isinstance(error, ApiError) else Unavailable("The database does not answer.")
        log.info("console refused: %s", refused.message)
        await websocket.send_denial_response(_denial(refused))


def _denial(refused: ApiError) -> Response:
    """Return the answer to a refused WebSocket. One without a valid token gets no data, as from Nova's proxy."""
    if refused.status == HTTPStatus.FORBIDDEN:
        return Response(status_code=refused.status)
    return json_response(render_error(refused), refused.status)


@contextlib.asynccontextmanager
async def _console_slot(limit: int) -> AsyncIterator[None]:
    """Count an open console; refuse it if there are *limit* already."""
    if len(_open) >= limit:
        raise Unavailable("There are too many open consoles.")
    slot = object()
    _open.add(slot)
    try:
        yield
    finally:
        _open.discard(slot)


async def _show(websocket: WebSocket, screen: Display) -> None:
    """Connect *websocket* and *screen* until one of them ends; raise ApiError if the display cannot be reached."""
    began = time.monotonic()
    async with _reached(screen) as (reader, writer, greeting):
        # Old clients request a subprotocol of this name: binary frames, the only format today.
        await websocket.accept("binary" if "binary" in websocket.scope["subprotocols"] else None)
        log.info("console of server %s opened", screen.server_id)
        try:
            await _relay(websocket, reader, writer, greeting)
        finally:
            log.info(
                "console of server %s closed", screen.server_id, extra={"seconds": round(time.monotonic() - began)}
            )


@contextlib.asynccontextmanager
async def _reached(screen: Display) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]]:
    """Open a stream to and from *screen*; yield it with its first data. The SSH process always ends with the block."""
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


async def _greeting(screen: Display, process: asyncio.subprocess.Process, reader: asyncio.StreamReader) -> bytes:
    """Return the first data from the display."""
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            if greeting := await reader.read(CHUNK):
                return greeting
            assert process.stderr is not None
            error_text = (await process.stderr.read(CHUNK)).decode(errors="replace").strip()
    except (TimeoutError, ConnectionError) as error:
        error_text = type(error).__name__
    log.warning("the display of server %s on %s cannot be reached: %s", screen.server_id, screen.host, error_text)
    if MISSING in error_text:
        raise Conflict("The server was started without a graphical display; a hard reboot adds one.")
    raise Unavailable(
        "The server's display cannot be reached: its host does not answer, or the server has just stopped."
    )


async def _relay(
    websocket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes
) -> None:
    """Copy in both directions until one side ends; read only what the receiving side can accept."""
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
    await websocket.close(reason="the server's display was closed")


async def _to_screen(websocket: WebSocket, writer: asyncio.StreamWriter) -> None:
    while (message := await websocket.receive())["type"] == "websocket.receive":
        if message.get("bytes") is None:
            await websocket.close(UNSUPPORTED_DATA, "only binary frames are accepted")
            return
        writer.write(message["bytes"])
        await writer.drain()

"""The HTTP server of the API: uvicorn, and what becomes of its connections between requests and when it stops.

Connections are kept alive, so that clients that poll need not make new ones. RFC 9112 (9.3, 9.6): a server may
close an idle connection at any time, and announces the last response of a connection with `Connection: close`.
"""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# As nginx. Clients poll more often (`openstack server create --wait` every 2 to 5 s), and HAProxy keeps its clients'
# connections as long (roles/haproxy).
KEEP_ALIVE_SECONDS = 75
# When the server stops: how long requests may last still, and how long an idle connection is kept for a request that
# is on its way.
DRAIN_SECONDS = 10
LINGER_SECONDS = 0.5
WEBSOCKET_BYTES = 1 << 20


class Connection(HttpToolsProtocol):
    """A connection that, once the server stops, answers one more request before it closes."""

    _last_request = False

    def shutdown(self) -> None:
        """The server stops. The client learns it from the next response, or from the end of the connection."""
        self._last_request = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self._unset_keepalive_if_required()
        # A timer runs after what the client has sent was read, and reading cancels it.
        self.timeout_keep_alive_task = self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._last_request and self.cycle is not None:
            self.cycle.keep_alive = False


class Server(uvicorn.Server):
    """A server of the ASGI *application*.

    Each request finds an `asyncio.Event` in `scope["state"]["stopping"]`. Streams without an end of their own end then.
    """

    def __init__(self, application: Any) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=Connection,
                lifespan="on",
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
                # Consoles, the only WebSockets: what a screen sends is compressed, what a browser sends is small.
                ws_per_message_deflate=False,
                ws_max_size=WEBSOCKET_BYTES,
            )
        )
        self._stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state["stopping"] = self._stopping
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await asyncio.sleep(0)  # connections that wait to be accepted would be reset
        await super().shutdown(sockets)

"""The HTTP server of the API: uvicorn, with keep-alive connections and a graceful stop.

Connections are kept alive, so that polling clients need not open new ones. RFC 9112 (9.3, 9.6): a server may close an
idle connection at any time, and announces the last response of a connection with `Connection: close`.
"""

import asyncio
import contextvars
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The same as nginx. Clients poll more often (`openstack server create --wait` every 2 to 5 s), and HAProxy keeps its
# clients' connections as long (roles/haproxy).
KEEP_ALIVE_SECONDS = 75
# At a stop: how long requests may continue, and how long idle connections are kept for requests that are on their way.
DRAIN_SECONDS = 10
LINGER_SECONDS = 0.5
WEBSOCKET_BYTES = 1 << 20


class Connection(HttpToolsProtocol):
    """A connection that answers one more request after the stop of the server began, and then closes."""

    _last_request = False

    def shutdown(self) -> None:
        """Begin the stop. The client notices it by the next response or by the end of the connection."""
        self._last_request = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        self._unset_keepalive_if_required()
        # Data that has arrived is read before a timer runs, and reading it cancels the timer.
        self.timeout_keep_alive_task = self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        # The timer of the idle connection keeps its context: the request's own would keep the request's objects.
        contextvars.Context().run(super().on_response_complete)
        # An idle connection need not keep the last request. If another has begun, its scope is this connection's; if it
        # was read before the response was complete, its cycle is, too.
        if self.cycle.scope is self.scope and self.cycle.response_complete:
            self.scope = self.cycle.scope = {}  # type: ignore[typeddict-item]
            self.headers = []

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._last_request and self.cycle is not None:
            self.cycle.keep_alive = False


class Server(uvicorn.Server):
    """The server of an ASGI *application*.

    Each request has an `asyncio.Event` in `scope["state"]["stopping"]`. Endless streams end when it is set.
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
                # WebSockets are only consoles: screen data is already compressed, and input is small.
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
        await asyncio.sleep(0)  # accept waiting connections, which would be reset otherwise
        await super().shutdown(sockets)

"""The access log: one line for each request."""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

log = logging.getLogger("skywright.access")

Scope = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]


class AccessLog:
    """Logs the requests of an ASGI application, except health checks. Query strings are left out: they may have
    signatures.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in ("/healthz", "/readyz", "/metrics"):
            await self._application(scope, receive, send)
            return
        began, path, status = time.perf_counter(), scope["path"], 0

        async def send_and_note(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, send_and_note)
        finally:
            request = scope.get("state", {}).get("request_id")
            seconds = round(time.perf_counter() - began, 4)
            fields = {"request": request, "status": status, "seconds": seconds, "client": (scope["client"] or "-")[0]}
            log.info("%s %s", scope["method"], path, extra=fields)

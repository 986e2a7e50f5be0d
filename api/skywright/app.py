"""The ASGI application: every service under its path on the one port, and alone on its classic port."""

import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from skywright.cloud import Cloud
from skywright.db.identity import Project
from skywright.http.body_limit import limited
from skywright.http.service import Service
from skywright.services import SERVICES
from skywright.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# Image data is streamed to disk and has a limit of its own.
_STREAMED = re.compile(r"/v2/images/[^/]+/(file|stage)")


class Gateway:
    """Chooses the service by the port that a request came in on, else by the first part of its path."""

    def __init__(self, cloud: Cloud, services: list[Service]) -> None:
        self.cloud = cloud
        self._applications = {service.prefix: service.application(cloud) for service in services}
        self._ports = {service.port: service.prefix for service in services if service.port}
        self.prefixes = {service.type: service.prefix for service in services}
        cloud.gateway = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def tagged(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-openstack-request-id", request_id.encode())]
            await send(message)

        _, port = scope.get("server") or ("", 0)
        prefix = self._ports.get(port)
        if prefix is None:
            prefix = "/" + scope["path"].split("/", 2)[1]
            # Starlette takes the service's own path to be what follows root_path.
            scope["root_path"] = prefix
        # Clients ask with and without a slash at the end; routes are written without, the root is "/".
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root).rstrip("/") or "/"
        scope["path"] = root + path
        application = self._applications.get(prefix)
        if application is None:
            await self._index(scope, tagged)
            return
        if not (prefix == "/image" and _STREAMED.fullmatch(path)):
            receive = limited(scope, receive, self.cloud.settings.max_body_bytes)
        await application(scope, receive, tagged)

    async def _index(self, scope: Scope, send: Send) -> None:
        """`/` lists the services; anything else that belongs to none is not found."""
        body: dict[str, Any]
        match scope["path"].rstrip("/"):
            case "":
                status, body = 200, {"services": sorted(self._applications)}
            case "/healthz":
                status, body = 200, {"status": "ok"}
            case "/readyz":
                status, body = await run_in_threadpool(_readiness, self.cloud)
            case _:
                status, body = 404, {"error": {"code": 404, "title": "Not Found"}}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(body)})


def _readiness(cloud: Cloud) -> tuple[int, dict[str, Any]]:
    """Whether requests can be served: the database answers and has its tables."""
    try:
        with cloud.database.read() as session:
            session.execute(select(Project.id).limit(1))
    except SQLAlchemyError as error:
        return 503, {"status": "unavailable", "database": type(error).__name__}
    return 200, {"status": "ok", "database": "ok"}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def create_app(settings: Settings) -> Gateway:
    """The application of *settings*; its database must have its tables."""
    rules = {name: check for service in SERVICES for name, check in service.policies.items()}
    return Gateway(Cloud(settings, rules), SERVICES)

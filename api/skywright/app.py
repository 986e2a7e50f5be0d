"""The ASGI application: every service under its path on the one port, and alone on its classic port."""

import contextlib
import ipaddress
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import anyio.to_thread
import orjson
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from skywright.cloud import Cloud
from skywright.controller_metrics import ControllerMetrics
from skywright.db import Outage
from skywright.db.identity import Project
from skywright.http import audit
from skywright.http.body_limit import limited
from skywright.http.service import Service
from skywright.log import bound
from skywright.metrics import CONTENT_TYPE, Metrics
from skywright.services import registry
from skywright.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gateway:
    """Chooses the service by the port that a request came in on, else by the first part of its path."""

    def __init__(self, cloud: Cloud, services: list[Service]) -> None:
        self.cloud = cloud
        self._applications = {service.prefix: service.application(cloud) for service in services}
        self._ports = {service.port: service.prefix for service in services if service.port}
        self.prefixes = {service.type: service.prefix for service in services}
        self.ports = {service.type: service.port for service in services if service.port}
        self._backgrounds = [service.background for service in services if service.background]
        self._types = {service.prefix: service.type for service in services}
        self._streamed = {service.prefix: service.streamed for service in services}
        self.metrics = Metrics(cloud)
        # Requests that wait for the database may hold all other threads.
        self._probes = anyio.CapacityLimiter(2)
        self._controller = ControllerMetrics(cloud.settings) if cloud.settings.virtual_address else None
        # Services that do not answer hold no other requests up.
        self._scrapes = anyio.CapacityLimiter(1)
        self.afterwards = audit.Afterwards(cloud.database)
        cloud.gateway = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"
        scope.setdefault("state", {})["request_id"] = request_id
        with bound(request=request_id):
            if scope["type"] == "websocket":
                await self._converse(scope, receive, send)
            else:
                await self._answer(scope, receive, send, request_id)

    async def _live(self, receive: Receive, send: Send) -> None:
        """What an API process does beside its requests, from its start to its end."""
        await receive()  # lifespan.startup
        async with contextlib.AsyncExitStack() as stack:
            for background in self._backgrounds:
                await stack.enter_async_context(background(self.cloud))
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        await run_in_threadpool(self.afterwards.flush)
        # What is not done by now is never done: the server ends.
        await send({"type": "lifespan.shutdown.complete"})

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._applications.get(self._route(scope))
        if application is None:
            await send({"type": "websocket.close"})
            return
        own = dict(scope)
        scope["query_string"] = b""  # uvicorn logs it, which may be a secret
        await application(own, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began, status, complete = time.perf_counter(), 500, False

        async def tagged(message: MutableMapping[str, Any]) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-openstack-request-id", request_id.encode())]
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        prefix = self._route(scope)
        application = self._applications.get(prefix)
        if application is None:
            await self._index(scope, tagged)
            return
        streamed = self._streamed[prefix]
        if streamed is None or not streamed.fullmatch(scope["path"].removeprefix(scope.get("root_path", ""))):
            receive = limited(scope, receive, self.cloud.settings.max_body_bytes)
        service = self._types[prefix]
        pending = audit.of_request(scope, request_id, service)
        try:
            with audit.working_for(pending):
                await application(scope, receive, tagged)
        except Exception:
            # Starlette raises again what it has answered and logged; the server would drop the connection for it.
            if not complete:
                raise
        finally:
            if "cloud" not in scope["state"]:  # else a plan's request, which never was
                self.metrics.answered(service, scope["method"], status, time.perf_counter() - began)
            if pending is not None and pending.recorded != status:
                self.afterwards.add(pending, status)

    def _route(self, scope: Scope) -> str:
        """The prefix of the service that the request is for; *scope* then has the path as its routes know it."""
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
        return prefix

    async def _index(self, scope: Scope, send: Send) -> None:
        """`/` lists the services; anything else that belongs to none is not found."""
        body: dict[str, Any]
        match scope["path"].rstrip("/"):
            case "/metrics" if private(scope):
                await _metrics(send, await run_in_threadpool(self.metrics.text))
                return
            case "/metrics/controller" if self._controller and private(scope):
                await _metrics(send, await anyio.to_thread.run_sync(self._controller.text, limiter=self._scrapes))
                return
            case "":
                status, body = 200, {"services": sorted(self._applications)}
            case "/healthz":
                status, body = 200, {"status": "ok"}
            case "/readyz":
                status, body = await anyio.to_thread.run_sync(_readiness, self.cloud, limiter=self._probes)
            case _:
                status, body = 404, {"error": {"code": 404, "title": "Not Found"}}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(body)})


async def _metrics(send: Send, text: bytes) -> None:
    headers = [(b"content-type", CONTENT_TYPE.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def private(scope: Scope) -> bool:
    """Whether the client's address is a private one: metrics name hosts, which the world need not know."""
    try:
        return ipaddress.ip_address((scope.get("client") or ("",))[0]).is_private
    except ValueError:
        return False


def _readiness(cloud: Cloud) -> tuple[int, dict[str, Any]]:
    """Whether requests can be served: the database answers and has its tables. Without a broker they can."""
    body = {"status": "ok", "database": "ok", "broker": cloud.queue.state()}
    try:
        with cloud.database.read(patience=0) as session:
            session.execute(select(Project.id).limit(1))
    except (Outage, SQLAlchemyError) as error:
        body |= {"status": "unavailable", "database": type(error.__cause__ or error).__name__}
    return (200 if body["status"] == "ok" else 503), body


def create_app(settings: Settings) -> Gateway:
    """The application of *settings*; its database must have its tables."""
    registry.load_tables()
    services = registry.services()
    rules = {service.type: service.policies for service in services}
    return Gateway(Cloud(settings, registry.kinds(), rules), services)

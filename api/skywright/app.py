"""The ASGI application: every service below its path on the common port, and alone on its classic port."""

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
from skywright.db import DatabaseUnavailable
from skywright.db.identity import Project
from skywright.http import audit
from skywright.http.body_limit import limit_body
from skywright.http.service import Service
from skywright.log import log_context
from skywright.metrics import CONTENT_TYPE, Metrics
from skywright.services import registry
from skywright.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gateway:
    """Selects the service by the port that a request came in on, else by the first part of its path."""

    def __init__(self, cloud: Cloud, services: list[Service]) -> None:
        self.cloud = cloud
        self._applications = {service.prefix: service.application(cloud) for service in services}
        self._ports = {service.port: service.prefix for service in services if service.port}
        self.prefixes = {service.type: service.prefix for service in services}
        self.ports = {service.type: service.port for service in services if service.port}
        self._backgrounds = [service.background for service in services if service.background]
        self._types = {service.prefix: service.type for service in services}
        self._streamed = {service.prefix: service.streamed for service in services}
        self._slash_matters = {service.prefix for service in services if not service.ignores_slash}
        self.metrics = Metrics(cloud)
        # Readiness checks have threads of their own: requests that wait for the database may hold all others.
        self._readiness_limiter = anyio.CapacityLimiter(2)
        self._controller = ControllerMetrics(cloud.settings) if cloud.settings.virtual_address else None
        # So do scrapes: a component that does not answer must not delay requests.
        self._scrape_limiter = anyio.CapacityLimiter(1)
        self.audit_writer = audit.AuditWriter(cloud.database)
        cloud.gateway = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"
        scope.setdefault("state", {})["request_id"] = request_id
        with log_context(request=request_id):
            if scope["type"] == "websocket":
                await self._websocket(scope, receive, send)
            else:
                await self._http(scope, receive, send, request_id)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Run the services' background tasks from the start of the API process to its end."""
        await receive()  # lifespan.startup
        async with contextlib.AsyncExitStack() as stack:
            for background in self._backgrounds:
                await stack.enter_async_context(background(self.cloud))
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        await run_in_threadpool(self.audit_writer.flush)
        # The server ends now: tasks that still run are abandoned.
        await send({"type": "lifespan.shutdown.complete"})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._applications.get(self._route(scope))
        if application is None:
            await send({"type": "websocket.close"})
            return
        copied = dict(scope)
        scope["query_string"] = b""  # uvicorn logs the query string, which may hold a secret
        await application(copied, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began, status, complete = time.perf_counter(), 500, False

        async def send_with_id(message: MutableMapping[str, Any]) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-openstack-request-id", request_id.encode())]
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        prefix = self._route(scope)
        application = self._applications.get(prefix)
        if application is None:
            await self._root(scope, send_with_id)
            return
        streamed = self._streamed[prefix]
        if streamed is None or not streamed.fullmatch(scope["path"].removeprefix(scope.get("root_path", ""))):
            receive = limit_body(scope, receive, self.cloud.settings.max_body_bytes)
        service = self._types[prefix]
        pending = audit.pending_record(scope, request_id, service)
        try:
            with audit.recording(pending):
                await application(scope, receive, send_with_id)
        except Exception:
            # Starlette raises an exception again after it answered and logged it. The server would close the
            # connection.
            if not complete:
                raise
        finally:
            if "cloud" not in scope["state"]:  # requests of plans are rolled back and not counted
                self.metrics.observe_request(service, scope["method"], status, time.perf_counter() - began)
            if pending is not None and pending.recorded != status:
                self.audit_writer.add(pending, status)

    def _route(self, scope: Scope) -> str:
        """Return the prefix of the request's service, and change *scope* so that the path fits the service's routes."""
        _, port = scope.get("server") or ("", 0)
        prefix = self._ports.get(port)
        if prefix is None:
            prefix = "/" + scope["path"].split("/", 2)[1]
            # Starlette routes by what follows root_path.
            scope["root_path"] = prefix
        # Clients send paths with and without a trailing slash. Routes have none; the root is "/".
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        if prefix not in self._slash_matters or path.count("/") <= 2:
            path = path.rstrip("/") or "/"
        scope["path"] = root + path
        return prefix

    async def _root(self, scope: Scope, send: Send) -> None:
        """Answer paths outside of all services: `/` lists the services, unknown paths are 404."""
        body: dict[str, Any]
        match scope["path"].rstrip("/"):
            case "/metrics" if is_private(scope):
                await _metrics(send, await run_in_threadpool(self.metrics.text))
                return
            case "/metrics/controller" if self._controller and is_private(scope):
                await _metrics(
                    send, await anyio.to_thread.run_sync(self._controller.text, limiter=self._scrape_limiter)
                )
                return
            case "":
                status, body = 200, {"services": sorted(self._applications)}
            case "/healthz":
                status, body = 200, {"status": "ok"}
            case "/readyz":
                status, body = await anyio.to_thread.run_sync(_readiness, self.cloud, limiter=self._readiness_limiter)
            case _:
                status, body = 404, {"error": {"code": 404, "title": "Not Found"}}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(body)})


async def _metrics(send: Send, text: bytes) -> None:
    headers = [(b"content-type", CONTENT_TYPE.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def is_private(scope: Scope) -> bool:
    """Return whether the client has a private address. Metrics name hosts and must not be public."""
    try:
        return ipaddress.ip_address((scope.get("client") or ("",))[0]).is_private
    except ValueError:
        return False


def _readiness(cloud: Cloud) -> tuple[int, dict[str, Any]]:
    """Return (status, body) of `/readyz`: 200 if the database answers and has its tables. The broker is optional."""
    body = {"status": "ok", "database": "ok", "broker": cloud.queue.state()}
    try:
        with cloud.database.read(timeout=0) as session:
            session.execute(select(Project.id).limit(1))
    except (DatabaseUnavailable, SQLAlchemyError) as error:
        body |= {"status": "unavailable", "database": type(error.__cause__ or error).__name__}
    return (200 if body["status"] == "ok" else 503), body


def create_app(settings: Settings) -> Gateway:
    """Make the application of *settings*. The database must have its tables."""
    registry.load_tables()
    services = registry.services()
    rules = {service.type: service.policies for service in services}
    return Gateway(Cloud(settings, registry.kinds(), rules), services)

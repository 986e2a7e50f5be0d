"""An OpenStack service: a FastAPI application with the error format of that service."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from skywright.cloud import Cloud
from skywright.errors import ApiError, BadRequest, NotFound, Unauthorized, Unavailable, lacking
from skywright.http.router import Router, json_response
from skywright.validation import Explanation, Mistake, mistakes

log = logging.getLogger(__name__)
ErrorRenderer = Callable[[ApiError], Any]
Refusal = Callable[[Sequence[str]], str]


def policy_refusal(rules: Sequence[str]) -> str:
    """Return Nova's message for a request that one of *rules* does not allow."""
    return f"Policy doesn't allow {rules[0]} to be performed."


def explain_mistake(mistake: Mistake) -> str:
    """Return Keystone's message for an invalid request."""
    if not mistake.path:
        return mistake.message()
    return f"Invalid input for field '{'/'.join(map(str, mistake.path))}': {mistake.message()}"


@dataclass(frozen=True)
class Service:
    """A service: its prefix, routes, policy rules and error format.

    `endpoint` is the path after `prefix` in the catalog (`/v2.1`); `headers` may add headers to every response.
    """

    name: str  # as in the catalog: nova
    type: str  # compute
    prefix: str  # /compute
    port: int | None  # its classic port in OpenStack
    endpoint: str
    routers: Sequence[Router]
    policies: Mapping[str, str]
    render_error: ErrorRenderer
    refusal: Refusal = policy_refusal
    explain: Explanation = explain_mistake
    admin: str = "context_is_admin"  # the rule that defines administrators
    middleware: Sequence[Any] = field(default_factory=tuple)
    background: Callable[[Cloud], AbstractAsyncContextManager[None]] | None = None  # background tasks
    streamed: re.Pattern[str] | None = None  # paths whose bodies are streamed to disk and have their own limit
    bootstrap: Callable[[Session], None] | None = None  # inserts the service's rows of a new cloud; idempotent
    # Paths of OpenStack's API that this cloud does not have, and what they are for: {"/v2.0/routers": "routers"}. `*`
    # is any text; longer paths are included.
    absent: Mapping[str, str] = field(default_factory=dict)
    ignores_slash: bool = True  # a slash at the end of a path; if False, such a path is not found, except a version's

    def operations(self) -> Iterator[tuple[str, Sequence[str] | None]]:
        """Return {`GET /v2.1/servers`: policy rules} of all routes; None for a route that needs no token."""
        for router in self.routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    rules = getattr(route.endpoint, "rules", None)
                    yield from ((f"{method} {route.path}", rules) for method in sorted(route.methods or ()))

    def application(self, cloud: Cloud) -> FastAPI:
        """Return the ASGI application of the service."""
        app = FastAPI(title=self.name, openapi_url="/openapi.json", docs_url=None, redoc_url=None)
        app.state.cloud = cloud
        app.state.service = self
        app.router.redirect_slashes = False
        for router in self.routers:
            app.router.routes += router.routes  # include_router would copy each route
        for middleware in self.middleware:
            app.add_middleware(middleware)

        def answer(error: ApiError) -> Response:
            response = json_response(self.render_error(error), error.status)
            if error.status == 401:
                response.headers["WWW-Authenticate"] = f'Keystone uri="{cloud.settings.public_url}/identity"'
            if isinstance(error, Unavailable):
                response.headers["Retry-After"] = str(error.retry_after)
            return response

        @app.exception_handler(ApiError)
        async def api_error(_request: Request, error: ApiError) -> Response:
            return answer(error)

        @app.exception_handler(RequestValidationError)
        async def invalid(request: Request, error: RequestValidationError) -> Response:
            # FastAPI reads bodies before the handler runs, but a request without a token must get 401 first.
            if getattr(request.scope["route"].endpoint, "rules", None) is not None:
                try:
                    await run_in_threadpool(_authenticate, cloud, request)
                except Unauthorized as refused:
                    return answer(refused)
            parts = {"body": error.body, "query": dict(request.query_params), "path": request.path_params}
            return answer(BadRequest("; ".join(self.explain(mistake) for mistake in mistakes(error.errors(), parts))))

        @app.exception_handler(HTTPException)
        async def http_error(request: Request, error: HTTPException) -> Response:
            path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
            missing = self._missing(path)
            if error.status_code == 404:
                return answer(NotFound(missing or "The resource could not be found."))
            if missing and error.status_code == 405:
                # Not 404, which clients understand as "deleted".
                return answer(BadRequest(missing))
            response = answer(ApiError(str(error.detail), status=error.status_code))
            if error.status_code == 405:
                response.headers["Allow"] = ", ".join(self._methods(path))  # RFC 9110, 15.5.6
            return response

        @app.exception_handler(ClientDisconnect)
        async def disconnected(_request: Request, _error: ClientDisconnect) -> Response:
            return Response(status_code=400)  # the client has disconnected

        @app.exception_handler(Exception)
        async def crash(request: Request, error: Exception) -> Response:
            log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
            return answer(ApiError("An unexpected error happened; the log has it under this request id."))

        return app

    def _methods(self, path: str) -> list[str]:
        """Return the methods of all routes with *path*."""
        routes = [route for router in self.routers for route in router.routes if isinstance(route, APIRoute)]
        return sorted({method for route in routes if route.path_regex.match(path) for method in route.methods or ()})

    def _missing(self, path: str) -> str:
        """Return `This cloud has no routers yet.` if *path* is one of the absent paths."""
        for pattern, things in self.absent.items():
            if fnmatchcase(f"{path}/", f"{pattern}/*"):
                return lacking(things)
        return ""


def _authenticate(cloud: Cloud, request: Request) -> None:
    with cloud.database.read() as session:
        if cloud.authenticate(session, request.headers.get("x-auth-token")) is None:
            raise Unauthorized()

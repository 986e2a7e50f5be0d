"""Microversions: which one a request asks for, and saying so in every answer.

A version is the number after `2.`: 1 ... MAXIMUM. Shapes follow
https://docs.openstack.org/nova/latest/reference/api-microversion-history.html
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from skywright.http import ApiError, BadRequest, Context, NotFound
from skywright.services.compute.errors import render_error

MINIMUM = 1
MAXIMUM = 96

Message = MutableMapping[str, Any]
Application = Callable[[Message, Any, Any], Awaitable[None]]
PROJECT_PATH = re.compile(r"^(/v2(?:\.1)?)/[0-9a-f]{32}(?=/)")


def version_of(context: Context) -> int:
    """The microversion of the request."""
    number: int = context.request.state.microversion
    return number


def since(context: Context, version: int) -> None:
    """NotFound before *version*, as for routes that do not exist there."""
    if version_of(context) < version:
        raise NotFound("The resource could not be found.")


def until(context: Context, version: int) -> None:
    """NotFound after *version*."""
    if version_of(context) > version:
        raise NotFound("The resource could not be found.")


def requested(headers: dict[bytes, bytes]) -> int:
    """The version in OpenStack-API-Version, else in X-OpenStack-Nova-API-Version, else the minimum."""
    wanted = None
    for part in headers.get(b"openstack-api-version", b"").decode("latin-1").split(","):
        service, _, value = part.strip().partition(" ")
        if service.lower() == "compute":
            wanted = value.strip()
    if wanted is None:
        wanted = headers.get(b"x-openstack-nova-api-version", b"").decode("latin-1").strip()
    if not wanted:
        return MINIMUM
    if wanted.lower() == "latest":
        return MAXIMUM
    match = re.fullmatch(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,5})", wanted, re.ASCII)
    if match is None:
        raise BadRequest(f"API Version String {wanted} is of invalid format. Must be of format MajorNum.MinorNum.")
    major, minor = int(match[1]), int(match[2])
    if major != 2 or not MINIMUM <= minor <= MAXIMUM:
        message = f"Version {wanted} is not supported by the API. Minimum is 2.{MINIMUM} and maximum is 2.{MAXIMUM}."
        raise ApiError(message, status=406)
    return minor


class Microversions:
    """Middleware: reads the version, adds the headers, and understands /v2 and a project id in the path."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root = scope.get("root_path", "")
        path = PROJECT_PATH.sub(r"\1", scope["path"].removeprefix(root))
        legacy = path.startswith("/v2/")
        scope["path"] = root + ("/v2.1" + path[3:] if legacy else path)
        try:
            version = MINIMUM if legacy else requested(dict(scope["headers"]))
        except ApiError as error:
            await _refuse(send, error)
            return
        scope["state"]["microversion"] = version

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_id = (b"x-compute-request-id", scope["state"]["request_id"].encode())
                message["headers"] = [*message["headers"], *_headers(version), request_id]
            await send(message)

        await self.app(scope, receive, tagged)


def _headers(version: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"openstack-api-version", f"compute 2.{version}".encode()),
        (b"x-openstack-nova-api-version", f"2.{version}".encode()),
        (b"vary", b"OpenStack-API-Version, X-OpenStack-Nova-API-Version"),
    ]


async def _refuse(send: Any, error: ApiError) -> None:
    headers = [(b"content-type", b"application/json"), *_headers(MINIMUM)]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(render_error(error))})

"""Microversions: reading a request's version, and headers with it in every response.

A version is the number after the dot: 1 ... the service's maximum.
https://specs.openstack.org/openstack/api-sig/guidelines/microversion_specification.html
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson

from skywright.errors import ApiError, BadRequest, NotFound
from skywright.http.context import Context

Message = MutableMapping[str, Any]
Application = Callable[[Message, Any, Any], Awaitable[None]]
VERSION = re.compile(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,5})", re.ASCII)


def version_of(context: Context) -> int:
    """Return the microversion of the request."""
    number: int = context.request.state.microversion
    return number


def since(context: Context, version: int) -> None:
    """Raise NotFound before *version*, as for routes that do not exist."""
    if version_of(context) < version:
        raise NotFound("The resource could not be found.")


def until(context: Context, version: int) -> None:
    """Raise NotFound after *version*."""
    if version_of(context) > version:
        raise NotFound("The resource could not be found.")


@dataclass(frozen=True)
class Microversions:
    """The microversions of a service, and the middleware that handles them.

    `service` is the name in OpenStack-API-Version, `header` the service's older header. `route` may change the path
    (below the service's prefix) and set the version of the oldest endpoints.
    """

    service: str
    major: int
    minimum: int
    maximum: int
    header: str
    render_error: Callable[[ApiError], Any]
    route: Callable[[str], tuple[str, int | None]] = lambda path: (path, None)

    def __call__(self, app: Application) -> Application:
        async def application(scope: Message, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await self._serve(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return application

    async def _serve(self, app: Application, scope: Message, receive: Any, send: Any) -> None:
        root = scope.get("root_path", "")
        path, fixed = self.route(scope["path"].removeprefix(root))
        scope["path"] = root + path
        try:
            version = self.requested(dict(scope["headers"])) if fixed is None else fixed
        except ApiError as error:
            await self._refuse(send, error)
            return
        scope["state"]["microversion"] = version

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_id = (f"x-{self.service}-request-id".encode(), scope["state"]["request_id"].encode())
                message["headers"] = [*message["headers"], *self._headers(version), request_id]
            await send(message)

        await app(scope, receive, tagged)

    def requested(self, headers: dict[bytes, bytes]) -> int:
        """Return the version in OpenStack-API-Version, else in the service's own header, else the minimum."""
        wanted = None
        for part in headers.get(b"openstack-api-version", b"").decode("latin-1").split(","):
            service, _, value = part.strip().partition(" ")
            if service.lower() == self.service:
                wanted = value.strip()
        if wanted is None:
            wanted = headers.get(self.header.lower().encode(), b"").decode("latin-1").strip()
        if not wanted:
            return self.minimum
        if wanted.lower() == "latest":
            return self.maximum
        match = VERSION.fullmatch(wanted)
        if match is None:
            raise BadRequest(f"API Version String {wanted} is of invalid format. Must be of format MajorNum.MinorNum.")
        major, minor = int(match[1]), int(match[2])
        if major != self.major or not self.minimum <= minor <= self.maximum:
            message = (
                f"Version {wanted} is not supported by the API. Minimum is {self.text(self.minimum)} and maximum is "
                f"{self.text(self.maximum)}."
            )
            raise ApiError(message, status=406)
        return minor

    def text(self, version: int) -> str:
        """Return a version as text: `2.96`."""
        return f"{self.major}.{version}"

    def _headers(self, version: int) -> list[tuple[bytes, bytes]]:
        return [
            (b"openstack-api-version", f"{self.service} {self.text(version)}".encode()),
            (self.header.lower().encode(), self.text(version).encode()),
            (b"vary", f"OpenStack-API-Version, {self.header}".encode()),
        ]

    async def _refuse(self, send: Any, error: ApiError) -> None:
        headers = [(b"content-type", b"application/json"), *self._headers(self.minimum)]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(self.render_error(error))})

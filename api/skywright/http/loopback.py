"""Requests to the API from within its process, with the same validation and policy as other requests."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from skywright.cloud import Cloud


@dataclass
class Answer:
    """The response of a service."""

    status: int = 500
    content: bytes = b""
    request_id: str = field(default="", compare=False)

    @property
    def ok(self) -> bool:
        return self.status < 400


def scope_of(
    origin: Mapping[str, Any], method: str, path: str, headers: Mapping[str, str], state: dict[str, Any]
) -> dict[str, Any]:
    """Return the ASGI scope of a request, as a server would make it; *origin* has `client`, `server` and `scheme`."""
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": origin["scheme"],
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": origin["client"],
        "server": origin["server"],
        "state": state,
    }


async def send_request(cloud: "Cloud", scope: MutableMapping[str, Any], body: bytes) -> Answer:
    """Return the API's response to the request *scope*."""
    assert cloud.gateway is not None
    answer = Answer()

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
        else:
            answer.content += message.get("body", b"")

    try:
        await cloud.gateway(scope, receive, send)
    except Exception:
        if not answer.content:  # the service failed without a response; it logged the error
            raise
    answer.request_id = scope["state"]["request_id"]
    return answer

"""Requests to the API from within this process: they go its whole way, validation and policy included."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from skywright.cloud import Cloud


@dataclass
class Answer:
    """What a service said."""

    status: int = 500
    content: bytes = b""
    request_id: str = field(default="", compare=False)

    @property
    def ok(self) -> bool:
        return self.status < 400


def scope_of(
    origin: Mapping[str, Any], method: str, path: str, headers: Mapping[str, str], state: dict[str, Any]
) -> dict[str, Any]:
    """The request as a server would hand it over; *origin* has its `client`, `server` and `scheme`."""
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


async def ask(cloud: "Cloud", scope: MutableMapping[str, Any], body: bytes) -> Answer:
    """The API's answer to the request *scope*."""
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
        if not answer.content:  # a crash was logged and answered
            raise
    answer.request_id = scope["state"]["request_id"]
    return answer

"""A minimal client of the OpenStack APIs, which leaves the machine's processors to the measured cloud."""

import contextlib
import http.client
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

TIMEOUT = 120


class ApiError(Exception):
    """An unexpected answer."""


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of an answer, and the seconds until it was read."""

    status: int
    headers: http.client.HTTPMessage
    data: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.data) if self.data else {}


class Http:
    """Persistent connections, which threads share: one that is idle is used again."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, list[http.client.HTTPConnection]] = defaultdict(list)

    def close(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            while connections:
                connections.pop().close()

    def send(self, method: str, url: str, headers: dict[str, str], body: Any = None) -> Answer:
        """Send one request; its time ends when the answer was read."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = (method, path, payload, {"Content-Type": "application/json", **headers})
        idle = self._idle[parts.netloc]
        started = time.perf_counter()
        while connection := _taken(idle):
            with contextlib.suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                return self._exchange(connection, idle, request, started)
        return self._exchange(http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT), idle, request, started)

    @staticmethod
    def _exchange(
        connection: http.client.HTTPConnection,
        idle: list[http.client.HTTPConnection],
        request: tuple[str, str, bytes | None, dict[str, str]],
        started: float,
    ) -> Answer:
        try:
            connection.request(*request)
            response = connection.getresponse()
            data = response.read()
        except BaseException:
            connection.close()
            raise
        seconds = time.perf_counter() - started
        idle.append(connection)
        return Answer(response.status, response.headers, data, seconds)


def _taken(connections: list[http.client.HTTPConnection]) -> http.client.HTTPConnection | None:
    try:
        return connections.pop()
    except IndexError:
        return None


class Client:
    """A user of a cloud in clouds.yaml, in one project."""

    def __init__(self, auth: dict[str, Any], project: dict[str, Any]) -> None:
        self._auth = auth
        self.auth_url = str(auth["auth_url"])
        self._identity = {
            "methods": ["password"],
            "password": {
                "user": {
                    "name": auth["username"],
                    "password": auth["password"],
                    "domain": {"name": auth.get("user_domain_name", "Default")},
                }
            },
        }
        self._project = project
        self.http = Http()
        answer = self.issue()
        self.token, body = answer.headers["X-Subject-Token"], answer.json["token"]
        self.user_id, self.project_id = body["user"]["id"], body["project"]["id"]
        self._urls = {
            service["type"]: endpoint["url"].rstrip("/")
            for service in body["catalog"]
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "public"
        }
        self._urls["identity"] = self.auth_url

    @classmethod
    def of_cloud(cls, file: Path, cloud: str) -> "Client":
        """Return a client for *cloud*, in the project that clouds.yaml names."""
        auth = yaml.safe_load(file.read_text())["clouds"][cloud]["auth"]
        project = {"name": auth["project_name"], "domain": {"name": auth.get("project_domain_name", "Default")}}
        return cls(auth, project)

    def in_project(self, project_id: str) -> "Client":
        """Return a client of the same user in another project."""
        return Client(self._auth, {"id": project_id})

    def issue(self) -> Answer:
        """Request a token."""
        body = {"auth": {"identity": self._identity, "scope": {"project": self._project}}}
        return self._checked(self.http.send("POST", f"{self.auth_url}/auth/tokens", {}, body), "token", (201,))

    def validate(self) -> Answer:
        """Validate this client's token."""
        headers = {"X-Auth-Token": self.token, "X-Subject-Token": self.token}
        return self._checked(self.http.send("GET", f"{self.auth_url}/auth/tokens", headers), "validate", (200,))

    def raw(self, service: str, method: str, path: str, body: Any = None) -> Answer:
        """Send a request and accept any answer."""
        return self.http.send(method, self.url_of(service, path), {"X-Auth-Token": self.token}, body)

    def url_of(self, service: str, path: str) -> str:
        """Return the URL of *path* of a service."""
        return self._urls[service] + path

    def call(self, service: str, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; ApiError if it does not succeed."""
        return self._checked(self.raw(service, method, path, body), f"{method} {service}{path}", range(200, 300))

    def upload(self, path: str, data: bytes) -> None:
        """Send an image's data."""
        headers = {"X-Auth-Token": self.token, "Content-Type": "application/octet-stream"}
        self._checked(self.http.send("PUT", self.url_of("image", path), headers, data), f"PUT {path}", (204,))

    @staticmethod
    def _checked(answer: Answer, what: str, expected: Any) -> Answer:
        if answer.status not in expected:
            raise ApiError(f"{what}: {answer.status} {answer.data[:400].decode(errors='replace')}")
        return answer

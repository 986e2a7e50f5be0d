"""The planning proxy: it passes a client's reads to the real cloud, and has the first change planned, not made.

It listens on this machine only, with a secret path. It adds no rights: the client's own token is sent with all
requests. URLs in the cloud's responses are rewritten, so that the client continues to use the proxy.
"""

import json
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests

TIMEOUT = (10, 180)  # to connect, to read: a plan runs Ansible
CHUNK = 1 << 16
END_SECONDS = 30.0
NOT_PASSED_ON = frozenset(("connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"))
PLANNED_HEADERS = ("content-type", "openstack-api-version", "x-openstack-nova-api-version")
TOKENS = "/auth/tokens"


@dataclass
class Outcome:
    """The result of the client's change: a plan, or the reason why there is none."""

    method: str
    service: str
    path: str
    plan: dict[str, Any] | None = None
    error: str = ""


class PlanningProxy:
    """Serves within the block. `outcome` is available when `planned` is set."""

    def __init__(self, auth_url: str, verify: Any = True, cert: Any = None) -> None:
        self._auth_url = auth_url
        self._path = secrets.token_urlsafe(16)
        self._origins = {origin(auth_url)}
        self._services: dict[str, str] = {}  # {URL of a service without its version: its type}
        self._operations = ""
        self._session = requests.Session()
        self._session.verify, self._session.cert = verify, cert
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.planned = threading.Event()
        self.outcome: Outcome | None = None
        proxy = self

        class Handler(_Handler):
            cloud = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> "PlanningProxy":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._session.close()

    def local(self, url: str) -> str:
        """Return the proxy's URL for *url*."""
        parts = urlsplit(url)
        return self._local(origin(url)) + (f"{parts.path}?{parts.query}" if parts.query else parts.path)

    def _local(self, real: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self._path}/{real.replace('://', '/')}"

    def real(self, path: str) -> str | None:
        """Return the cloud's URL for a request's *path*; None if there is none."""
        _, secret, scheme, host, *rest = [*path.split("/", 4), "", "", ""][:5]
        if not secrets.compare_digest(secret.encode(), self._path.encode()):
            return None
        real = f"{scheme}://{host}"
        return f"{real}/{rest[0]}" if real in self._origins else None

    def rewritten(self, text: str) -> str:
        """Return *text* with the proxy's URLs in place of the cloud's."""
        known = sorted(self._origins, key=len, reverse=True)
        return re.sub(rf"({'|'.join(map(re.escape, known))})(?![\w.:-])", lambda found: self._local(found[1]), text)

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes) -> requests.Response:
        """Return the real cloud's response."""
        kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection")}
        kept["Accept-Encoding"] = "identity"
        return self._session.request(
            method, url, headers=kept, data=body, stream=True, timeout=TIMEOUT, allow_redirects=False
        )

    def learn(self, token: Any) -> None:
        """Read the catalog in the response for a token."""
        catalog = token.get("token", {}).get("catalog", []) if isinstance(token, dict) else []
        for service in catalog:
            for url in {endpoint["url"] for endpoint in service["endpoints"]}:
                self._origins.add(origin(url))
                if service["type"] == "operations":
                    self._operations = url.rstrip("/")
                self._services[re.sub(r"/v\d[\d.]*(/.*)?$", "", url).rstrip("/")] = service["type"]

    def plan(self, method: str, url: str, headers: dict[str, str], body: Any) -> None:
        """Plan the client's change; only the first one counts."""
        with self._lock:
            if self.outcome is None:
                self.outcome = self._plan(method, url, headers, body)
                self.planned.set()
        self._over.wait(END_SECONDS)  # the client is stopped in the meantime and needs no response

    def _plan(self, method: str, url: str, headers: dict[str, str], body: Any) -> Outcome:
        service, path = self._target(url)
        outcome = Outcome(method, service, path)
        if not self._operations:
            outcome.error = "The cloud's catalog has no Skywright API."
            return outcome
        wanted = {name: headers[name] for name in PLANNED_HEADERS if name in headers}
        request = {"service": service, "method": method, "path": path, "body": body, "headers": wanted}
        try:
            answer = self._session.post(
                f"{self._operations}/plan",
                json=request,
                headers={"X-Auth-Token": headers.get("x-auth-token", "")},
                timeout=TIMEOUT,
            )
            content = answer.json()
        except (requests.RequestException, ValueError) as error:
            outcome.error = f"The API does not answer: {error}"
            return outcome
        if answer.ok:
            outcome.plan = content
        else:
            outcome.error = str(content.get("error", {}).get("message") or answer.reason)
        return outcome

    def _target(self, url: str) -> tuple[str, str]:
        """Return the type of the service of *url*, and the path below it."""
        for address in sorted(self._services, key=len, reverse=True):
            if url.startswith(f"{address}/"):
                return self._services[address], url.removeprefix(address)
        return "identity", url.removeprefix(origin(url))


def origin(url: str) -> str:
    """Return `http://host:port` of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class _Handler(BaseHTTPRequestHandler):
    """A connection of the client."""

    cloud: PlanningProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: paths may hold secrets."""

    def _serve(self) -> None:
        url = self.cloud.real(self.path)
        if url is None:
            self.send_error(404)
            return
        reads = self.command in ("GET", "HEAD", "OPTIONS")
        asks_token = self.command == "POST" and urlsplit(url).path.endswith(TOKENS)
        try:
            if reads or asks_token:
                self._pass_on(url, learn=asks_token)
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.cloud.plan(self.command, url, headers, self._json())
                self.close_connection = True
        except requests.RequestException as error:
            self.send_error(502, explain=str(error))

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self) -> bytes:
        length = self.headers.get("content-length", "0")
        return self.rfile.read(int(length)) if length.isdigit() else b""

    def _json(self) -> Any:
        """Return the body if it is JSON. Other data cannot be planned, and may be long."""
        if "json" not in self.headers.get("content-type", ""):
            self.close_connection = True
            return None
        try:
            return json.loads(self._body() or b"null")
        except ValueError:
            return None

    def _pass_on(self, url: str, *, learn: bool) -> None:
        with self.cloud.request(self.command, url, dict(self.headers.items()), self._body()) as answer:
            is_text = "json" in answer.headers.get("content-type", "")
            content = answer.content if is_text else b""
            if learn and answer.ok:
                self.cloud.learn(json.loads(content))
            if is_text:
                self._answer(answer, [self.cloud.rewritten(content.decode()).encode()])
            else:
                self._answer(answer, answer.iter_content(CHUNK), length=answer.headers.get("content-length"))

    def _answer(self, answer: requests.Response, chunks: Iterable[bytes], *, length: str | None = None) -> None:
        chunks = list(chunks) if length is None else chunks
        size = length or str(sum(map(len, chunks)))
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, self.cloud.rewritten(value))
        self.send_header(
            "Content-Length", answer.headers.get("content-length", "0") if self.command == "HEAD" else size
        )
        self.end_headers()
        if self.command != "HEAD":
            for chunk in chunks:
                self.wfile.write(chunk)

"""A cloud that plans: it lets a client read from the real cloud, and has its first change planned instead of made.

It listens on this machine only and under a path that nobody can guess. It adds no rights: the client's own token goes
along with all that it passes on. The URLs that the cloud tells are rewritten, so that the client stays here.
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

TIMEOUT = (10, 180)  # to connect, to be answered: a plan runs Ansible
CHUNK = 1 << 16
END_SECONDS = 30.0
NOT_PASSED_ON = frozenset(("connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"))
PLANNED_HEADERS = ("content-type", "openstack-api-version", "x-openstack-nova-api-version")
TOKENS = "/auth/tokens"


@dataclass
class Outcome:
    """What became of the client's change: a plan, or the reason why there is none."""

    method: str
    service: str
    path: str
    plan: dict[str, Any] | None = None
    error: str = ""


class PlanningProxy:
    """Serves until it is left. `outcome` is there as soon as `planned` is set."""

    def __init__(self, auth_url: str, verify: Any = True, cert: Any = None) -> None:
        self._auth_url = auth_url
        self._path = secrets.token_urlsafe(16)
        self._origins = {origin(auth_url)}
        self._services: dict[str, str] = {}  # {address of a service, its version left out: its type}
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
        """The URL here that stands for *url*."""
        parts = urlsplit(url)
        return self._local(origin(url)) + (f"{parts.path}?{parts.query}" if parts.query else parts.path)

    def _local(self, real: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{self._path}/{real.replace('://', '/')}"

    def real(self, path: str) -> str | None:
        """The URL that a request's *path* stands for; None if it is none of the cloud's."""
        _, secret, scheme, host, *rest = [*path.split("/", 4), "", "", ""][:5]
        if not secrets.compare_digest(secret.encode(), self._path.encode()):
            return None
        real = f"{scheme}://{host}"
        return f"{real}/{rest[0]}" if real in self._origins else None

    def rewritten(self, text: str) -> str:
        """*text* with the cloud's addresses replaced by ours."""
        known = sorted(self._origins, key=len, reverse=True)
        return re.sub(rf"({'|'.join(map(re.escape, known))})(?![\w.:-])", lambda found: self._local(found[1]), text)

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes) -> requests.Response:
        """The real cloud's answer."""
        kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection")}
        kept["Accept-Encoding"] = "identity"
        return self._session.request(
            method, url, headers=kept, data=body, stream=True, timeout=TIMEOUT, allow_redirects=False
        )

    def learn(self, token: Any) -> None:
        """Take in the catalog that came with a token."""
        catalog = token.get("token", {}).get("catalog", []) if isinstance(token, dict) else []
        for service in catalog:
            for url in {endpoint["url"] for endpoint in service["endpoints"]}:
                self._origins.add(origin(url))
                if service["type"] == "operations":
                    self._operations = url.rstrip("/")
                self._services[re.sub(r"/v\d[\d.]*(/.*)?$", "", url).rstrip("/")] = service["type"]

    def plan(self, method: str, url: str, headers: dict[str, str], body: Any) -> None:
        """Have the client's change planned; only its first one counts."""
        with self._lock:
            if self.outcome is None:
                self.outcome = self._plan(method, url, headers, body)
                self.planned.set()
        self._over.wait(END_SECONDS)  # the client is ended meanwhile: it has nothing to hear

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
        """The type of the service that *url* belongs to, and the path there."""
        for address in sorted(self._services, key=len, reverse=True):
            if url.startswith(f"{address}/"):
                return self._services[address], url.removeprefix(address)
        return "identity", url.removeprefix(origin(url))


def origin(url: str) -> str:
    """`http://host:port` of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client's."""

    cloud: PlanningProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: paths may hold what is nobody's business."""

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
        """The body, if it is JSON: other data cannot be planned, and may be long."""
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

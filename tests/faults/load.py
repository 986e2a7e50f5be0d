"""Clients that use a cloud continuously, and record what was acknowledged."""

import http.client
import json
import ssl
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from openstack.connection import Connection

from faults.crowd import Crowd

# A client that waits longer cannot measure how long there was no answer.
PATIENCE = 0.5
# Few clients, so that the cloud has enough processor time to recover.
READERS, WRITERS = 2, 2
PAUSE = 0.1
# The client of servers waits longer, to know the outcome.
SERVER_PATIENCE = 10.0
SERVER_SECONDS = 120.0
PAGE = 1000
MICROVERSION = {"X-OpenStack-Nova-API-Version": "2.60"}  # the page size of lists of key pairs
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPVSh8yXDrN2mQsoMfyAYA7rdkXLGvtCKKvSgjYtqLT faults"


class Refused(Exception):
    """Any other answer than the expected one, or none in time."""


class Http:
    """Requests to the cloud, each over a new connection, so that they fail independently."""

    def __init__(self, cloud: Connection) -> None:
        self._context = ssl.create_default_context(cafile=cloud.config.get_requests_verify_args()[0])
        self._token = cloud.session.get_token()
        self._compute = cloud.session.get_endpoint(service_type="compute", interface="public")

    def send(self, method: str, path: str, body: Any = None, patience: float = PATIENCE) -> Any:
        url = urlsplit(self._compute + path)
        connection = http.client.HTTPSConnection(url.netloc, timeout=patience, context=self._context)
        headers = {"X-Auth-Token": self._token, "Content-Type": "application/json", **MICROVERSION}
        try:
            target = url.path + (f"?{url.query}" if url.query else "")
            connection.request(method, target, body and json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Refused(repr(error)) from error
        finally:
            connection.close()
        if response.status >= 300:
            raise Refused(f"{response.status} {data[:200]!r}")
        return json.loads(data) if data else {}


@dataclass
class Series:
    """The times at which requests of a kind succeeded, and their durations."""

    moments: list[tuple[float, float]] = field(default_factory=list)
    refusals: list[tuple[float, str]] = field(default_factory=list)

    def gap(self, since: float, until: float) -> float:
        """Return the longest time without a successful request."""
        ends = [since, *(moment for moment, _ in self.moments if since < moment < until), until]
        return max(later - earlier for earlier, later in pairwise(ends))

    def mean(self, since: float, until: float) -> float:
        """Return the mean duration of successful requests."""
        taken = [seconds for moment, seconds in self.moments if since <= moment <= until]
        return sum(taken) / len(taken) if taken else float("nan")


class Load(Crowd):
    """Readers list servers, writers create key pairs, and one client creates, lists and deletes servers."""

    def __init__(self, cloud: Connection, server: dict[str, Any]) -> None:
        work = [self._read] * READERS + [self._write] * WRITERS + [self._make_and_delete]
        super().__init__(work, PAUSE, SERVER_SECONDS)
        self._http = Http(cloud)
        self._server = server  # the body of the request
        self.reads, self.writes = Series(), Series()
        self.keypairs: set[str] = set()
        self.created: set[str] = set()
        self.unwanted: set[str] = set()  # requested to be deleted
        self.deleted: set[str] = set()
        self.failed: list[str] = []
        self.rounds = 0

    def _counted(self, series: Series, method: str, path: str, body: Any = None) -> bool:
        began = time.monotonic()
        try:
            self._http.send(method, path, body)
        except Refused as refused:
            series.refusals.append((time.monotonic(), str(refused)))
            return False
        series.moments.append((time.monotonic(), time.monotonic() - began))
        return True

    def _read(self) -> None:
        self._counted(self.reads, "GET", "/servers?limit=1")

    def _write(self) -> None:
        name = f"fault-{uuid4().hex}"
        if self._counted(self.writes, "POST", "/os-keypairs", {"keypair": {"name": name, "public_key": PUBLIC_KEY}}):
            self.keypairs.add(name)

    def _make_and_delete(self) -> None:
        """Create and delete one server; record what was acknowledged."""
        try:
            server = self._http.send("POST", "/servers", self._server, SERVER_PATIENCE)["server"]["id"]
        except Refused:
            return
        self.created.add(server)
        status = self._settled(server)
        if status != "ACTIVE" and not self.stopping.is_set():
            self.failed.append(f"{server}: {status}")
        self.unwanted.add(server)
        try:
            self._http.send("DELETE", f"/servers/{server}", patience=SERVER_PATIENCE)
        except Refused:
            return
        self.deleted.add(server)
        self.rounds += 1

    def _settled(self, server: str) -> str:
        """Wait until the server is built; return its status."""
        end, status = time.monotonic() + SERVER_SECONDS, "unknown"
        while time.monotonic() < end and not self.stopping.is_set():
            try:
                status = self._http.send("GET", f"/servers/{server}")["server"]["status"]
            except Refused:
                status = "unknown"
            if status in ("ACTIVE", "ERROR"):
                break
            self.stopping.wait(0.2)
        return status

    def lost(self) -> list[str]:
        """Return what was acknowledged and is lost, when the cloud is healthy again."""
        there = {entry["keypair"]["name"] for entry in self._all("/os-keypairs", "keypairs", "name")}
        servers = {entry["id"] for entry in self._all("/servers", "servers", "id")}
        end = time.monotonic() + SERVER_SECONDS
        while servers & self.deleted and time.monotonic() < end:
            time.sleep(0.5)
            servers = {entry["id"] for entry in self._all("/servers", "servers", "id")}
        return [
            *(f"key pair {name}" for name in self.keypairs - there),
            *(f"server {server}" for server in self.created - self.unwanted - servers),
            *(f"deletion of server {server}" for server in self.deleted & servers),
        ]

    def clean(self) -> None:
        """Remove all resources of the clients."""
        for entry in self._all("/os-keypairs", "keypairs", "name"):
            self._http.send("DELETE", f"/os-keypairs/{entry['keypair']['name']}", patience=30)
        for entry in self._all("/servers", "servers", "id"):
            if entry["name"] == self._server["server"]["name"]:
                self._http.send("DELETE", f"/servers/{entry['id']}", patience=30)

    def _all(self, path: str, kind: str, marker: str) -> list[dict[str, Any]]:
        """Return a list, read page by page."""
        found: list[dict[str, Any]] = []
        query = f"?limit={PAGE}"
        while True:
            page = self._http.send("GET", path + query, patience=30)[kind]
            found += page
            if len(page) < PAGE:  # the marker may be deleted before the next page is requested
                return found
            last = page[-1].get("keypair", page[-1])[marker]
            query = f"?limit={PAGE}&marker={last}"

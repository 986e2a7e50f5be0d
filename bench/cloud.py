"""The resources of the measurements: a project, a network, a flavor and servers. All are deleted at the end."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from bench.client import ApiError, Client

NAME = "skywright"  # of the image that `make cloud` uploads
FLAVOR = {"vcpus": 1, "ram": 128, "disk": 1}
CIDR = "10.78.0.0/20"
# A boot sector whose guest halts, and powers off at a press of its ACPI power button. A guest that boots an operating
# system would use processor time that is measured, and one without ACPI would not stop.
BOOT_SECTOR = bytes.fromhex(
    "ba0206 b80001 ef"  # out 0x602, 0x100: report the power button in PM1_STS
    "fb f4"  # sti; again: hlt, until the next tick of the timer
    "ba0006 ed f6c401 74f6"  # in 0x600; test the power button's bit; jz again
    "ba0406 b80020 ef ebed"  # out 0x604, 0x2000: power off (S5); jmp again
).ljust(510, b"\0") + bytes.fromhex("55aa")
NULL_HOST = "null1"
OVERCOMMIT = {"skywright_overcommit": {"vcpus": 1000, "memory": 1000, "disk": 1000}}
T = TypeVar("T")
POLL_SECONDS = 0.05
WAIT_SECONDS = 300


@dataclass(frozen=True)
class Accepted:
    """A requested server: the time of the request, and the seconds until the answer."""

    id: str
    at: float
    seconds: float


class Cloud:
    """A running cloud, with a project that only the measurements use."""

    def __init__(self, client: Client) -> None:
        self.admin = client
        self.tag = f"bench-{uuid.uuid4().hex[:6]}"
        self._exits = ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Cloud":
        try:
            self._prepare()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def _prepare(self) -> None:
        self.image = self._one("image", f"/v2/images?name={NAME}&status=active", "images")["id"]
        project = self._made("identity", "/projects", {"project": {"name": self.tag}})
        role = self._one("identity", "/roles?name=admin", "roles")["id"]
        self.admin.call("identity", "PUT", f"/projects/{project}/users/{self.admin.user_id}/roles/{role}")
        self.client = self.admin.in_project(project)
        unlimited = dict.fromkeys(("instances", "cores", "ram"), -1)
        self.admin.call("compute", "PUT", f"/os-quota-sets/{project}", {"quota_set": unlimited})
        unlimited = dict.fromkeys(("network", "subnet", "port"), -1)
        self.admin.call("network", "PUT", f"/v2.0/quotas/{project}", {"quota": unlimited})
        self.flavor = self._made("compute", "/flavors", {"flavor": {"name": self.tag, **FLAVOR}})
        self.network, _ = self.make_network()
        self._exits.callback(self.delete_network, self.network)
        self._exits.callback(self.delete_all)

    def make_network(self) -> tuple[str, str]:
        """Make a network with a subnet. Return the ids of both."""
        made = self.client.call("network", "POST", "/v2.0/networks", {"network": {"name": self.tag}})
        network = str(made.json["network"]["id"])
        subnet = {"network_id": network, "ip_version": 4, "cidr": CIDR, "name": self.tag}
        made = self.client.call("network", "POST", "/v2.0/subnets", {"subnet": subnet})
        return network, str(made.json["subnet"]["id"])

    def delete_network(self, network: str) -> None:
        """Delete a network, as soon as no server uses it."""
        self._remove(self.client, "network", f"/v2.0/networks/{network}")

    def _one(self, service: str, path: str, key: str) -> dict[str, Any]:
        found = self.admin.call(service, "GET", path).json[key]
        if not found:
            raise ApiError(f"GET {service}{path} finds nothing: run `make cloud` first")
        return dict(found[0])

    def _made(self, service: str, path: str, body: dict[str, Any]) -> str:
        client = getattr(self, "client", self.admin)
        made = client.call(service, "POST", path, body).json[next(iter(body))]
        self._exits.callback(self._remove, client, service, f"{path}/{made['id']}")
        return str(made["id"])

    @staticmethod
    def _remove(client: Client, service: str, path: str) -> None:
        """Delete a resource; repeat while it is in use, because its servers were deleted only just before."""
        limit = time.monotonic() + WAIT_SECONDS
        while client.raw(service, "DELETE", path).status == 409 and time.monotonic() < limit:
            time.sleep(0.5)

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return the registered hosts by name."""
        return {host["name"]: host for host in self.admin.call("operations", "GET", "/hosts").json["hosts"]}

    def null_variables(self) -> dict[str, Any]:
        """Return the variables of a null host on the machine of the last compute host."""
        computes = [
            host for host in self.hosts().values() if "computes" in host["groups"] and host["name"] != NULL_HOST
        ]
        variables: dict[str, Any] = max(computes, key=lambda host: str(host["name"]))["variables"]
        return variables | {"hypervisor_libvirt_uri": "test:///default", **OVERCOMMIT}

    @contextmanager
    def null_host(self) -> Iterator[str]:
        """A host with libvirt's null driver."""
        host = {"groups": ["computes"], "variables": self.null_variables()}
        job = self.admin.call("operations", "PUT", f"/hosts/{NULL_HOST}", {"host": host}).json["job"]["id"]
        try:
            self.finished(job)
            yield NULL_HOST
        finally:
            self.delete_all()
            self._remove(self.admin, "operations", f"/hosts/{NULL_HOST}")

    @contextmanager
    def overcommitted(self, host: str) -> Iterator[None]:
        """Let the scheduler place any number of servers on *host*."""
        variables = self.hosts()[host]["variables"]
        self._set_variables(host, variables | OVERCOMMIT)
        try:
            yield
        finally:
            self._set_variables(host, variables)

    def _set_variables(self, host: str, variables: dict[str, Any]) -> None:
        body = {"host": {"variables": variables}}
        self.finished(self.admin.call("operations", "PUT", f"/hosts/{host}", body).json["job"]["id"])

    def make_image(self) -> str:
        """Make a small image whose guests halt; its id."""
        return make_image(self.client, self.tag)

    def finished(self, job: str) -> dict[str, Any]:
        """Wait for a job's end and return it with its events; ApiError if it did not succeed."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.admin.call("operations", "GET", f"/jobs/{job}").json["job"])
            return found["state"] not in ("queued", "running")

        wait(ended, f"job {job} has not ended")
        if found["state"] != "successful":
            raise ApiError(f"job {job} {found['state']}: {found['error']}")
        return found

    def create(self, host: str | None = None, image: str | None = None, network: str | None = None) -> Accepted:
        """Request a server; on *host* if given, else where the scheduler places it."""
        body = {
            "name": f"{self.tag}-{next(self._numbers)}",
            "imageRef": image or self.image,
            "flavorRef": self.flavor,
            "networks": [{"uuid": network or self.network}],
        }
        if host:
            body["availability_zone"] = f"nova:{host}"
        at = time.monotonic()
        answer = self.client.call("compute", "POST", "/servers", {"server": body})
        return Accepted(answer.json["server"]["id"], at, answer.seconds)

    def create_many(self, count: int, host: str | None = None, image: str | None = None) -> list[Accepted]:
        """Request *count* servers at once."""
        return at_once([lambda: self.create(host, image)] * count)

    def create_and_delete(self, host: str | None = None) -> float:
        """Create a server and delete it. Return the seconds until it was ACTIVE."""
        server = self.create(host)
        seconds = self.active([server])
        self.delete([server.id])
        return seconds

    def active(self, servers: Iterable[Accepted]) -> float:
        """Wait until all *servers* are ACTIVE. Return the seconds since the first request."""
        return max(self.activations(servers))

    def activations(self, servers: Iterable[Accepted]) -> list[float]:
        """Wait until all *servers* are ACTIVE. Return for each the seconds since the first request, in order."""
        wanted = {server.id: server.at for server in servers}
        began, left = min(wanted.values()), set(wanted)
        seconds: list[float] = []

        def all_active() -> bool:
            for server in self._found(left):
                if server["status"] == "ERROR":
                    raise ApiError(f"server {server['id']}: {server.get('fault', {}).get('message')}")
                if server["status"] == "ACTIVE":
                    left.discard(server["id"])
                    seconds.append(time.monotonic() - began)
            return not left

        wait(all_active, "not all servers are ACTIVE")
        return seconds

    def delete(self, servers: Sequence[str]) -> float:
        """Delete *servers* at once and wait until they are gone. Return the seconds."""
        started = time.monotonic()
        at_once([lambda id_=id_: self.client.raw("compute", "DELETE", f"/servers/{id_}") for id_ in servers])
        left = set(servers)

        def all_gone() -> bool:
            left.intersection_update(server["id"] for server in self._found(left))
            return not left

        wait(all_gone, "not all servers are deleted")
        return time.monotonic() - started

    def stop(self, servers: Sequence[str]) -> None:
        """Stop *servers* and wait until they are SHUTOFF."""
        stop = {"os-stop": None}
        at_once(
            [lambda id_=id_: self.client.call("compute", "POST", f"/servers/{id_}/action", stop) for id_ in servers]
        )
        self.idle()

    def idle(self) -> None:
        """Wait until all jobs of the project have ended; ApiError if one has failed."""
        path = f"/jobs?project_id={self.client.project_id}&state="

        def jobs(state: str) -> list[dict[str, Any]]:
            return list(self.admin.call("operations", "GET", path + state).json["jobs"])

        wait(lambda: not jobs("queued,running"), "not all jobs have ended")
        if failed := jobs("failed"):
            raise ApiError(f"job {failed[0]['id']} failed: {failed[0]['error']}")

    def servers(self) -> set[str]:
        """Return the ids of the project's servers."""
        return {server["id"] for server in self.client.call("compute", "GET", "/servers").json["servers"]}

    def delete_all(self) -> None:
        """Delete every server of the project."""
        while found := self.servers():
            self.delete(sorted(found))

    def delete_image(self, image: str) -> None:
        """Delete an image."""
        self.client.call("image", "DELETE", f"/v2/images/{image}")

    def _found(self, ids: set[str]) -> list[dict[str, Any]]:
        """Return the servers *ids* that exist: a single one by its id, several from the list."""
        if len(ids) == 1:
            answer = self.client.raw("compute", "GET", f"/servers/{next(iter(ids))}")
            return [answer.json["server"]] if answer.status == 200 else []
        listed = self.client.call("compute", "GET", "/servers/detail?sort_key=created_at&sort_dir=desc").json["servers"]
        return [server for server in listed if server["id"] in ids]


def make_image(client: Client, name: str) -> str:
    """Make a raw image of 1 MiB whose guests halt; its id."""
    body = {"name": name, "disk_format": "raw", "container_format": "bare"}
    image = str(client.call("image", "POST", "/v2/images", body).json["id"])
    client.upload(f"/v2/images/{image}/file", BOOT_SECTOR.ljust(1 << 20, b"\0"))
    return image


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all *calls*, up to fifty at a time, and return their results."""
    with ThreadPoolExecutor(min(len(calls), 50) or 1) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def wait(done: Callable[[], bool], what: str, pause: float = POLL_SECONDS) -> None:
    """Poll until *done*, with a *pause* of so many seconds or longer; ApiError after WAIT_SECONDS.

    The requests use the processors that are measured, so they take at most a tenth of the time. How long one takes is
    known from the fastest: others also waited for a processor.
    """
    limit, fastest = time.monotonic() + WAIT_SECONDS, WAIT_SECONDS
    while (began := time.monotonic()) < limit:
        if done():
            return
        fastest = min(fastest, time.monotonic() - began)
        time.sleep(max(pause, 9 * fastest))
    raise ApiError(f"timeout after {WAIT_SECONDS} s: {what}")

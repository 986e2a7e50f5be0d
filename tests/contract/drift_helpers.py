"""Fake hosts whose answers to runs in check mode are set by tests, and requests for drift."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
import requests
from openstack.connection import Connection
from sqlalchemy import select

from contract.compute_helpers import Fixtures, Nova, add_hosts, make_fixtures, run_jobs
from contract.conftest import Api
from recorded_hosts import answer
from skywright.core import Work
from skywright.jobs.engine.results import Results
from skywright.jobs.runs.draft import Draft
from skywright.services.compute.tables import Server
from skywright.services.network.tables import Port

Ask = Callable[..., dict[str, Any]]

MODULES = {
    "networks": ("ovs_network", "dhcp_network", "ovs_port_security", "ovs_qos"),
    "images": ("server_disk",),
    "servers": ("server_disk", "libvirt_domain"),
}

NOTHING: dict[str, list[Any]] = {"ovs_network": [], "dhcp_network": [], "image_cache": [], "server_disk": []}


class FakeHosts:
    """Replaces the planner. Items differ only if `say` set that; `marks` is everything that the hosts contain."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.domains: dict[str, list[dict[str, Any]]] = {}
        self.marks: dict[str, Mapping[str, list[Any]]] = {}
        self.boots: dict[str, str] = {}
        self.silent: set[str] = set()
        self.drafts: list[Draft] = []
        self.meanwhile: Callable[[], Any] | None = None

    def say(self, host: str, module: str, identifier: str, *, action: str = "update", **more: Any) -> None:
        """Set the answer of *module* for an item: with `before` and `after`, or `error`."""
        diff = {"before": more.pop("before", {}), "after": more.pop("after", {})}
        entry = {"id": identifier, "changed": "error" not in more, "action": action, "diff": diff, **more}
        self.said[host, module, identifier] = entry

    def mark(self, host: str, **kinds: list[Any]) -> None:
        self.marks[host] = NOTHING | kinds

    def run(self, draft: Draft, _timeout_seconds: float) -> Results:
        self.drafts.append(draft)
        results = Results()
        results.rc = 0
        for name, _, _ in draft.hosts:
            if name in self.silent:
                results.add(
                    {"event": "runner_on_unreachable", "event_data": {"host": name, "res": {"msg": "no route"}}}
                )
                results.rc = 4
            else:
                for module, answer in self._answers(draft, name):
                    data = {"host": name, "task_action": f"skywright.cloud.{module}", "res": answer}
                    results.add({"event": "runner_on_ok", "event_data": data})
        results.add({"event": "playbook_on_stats"})
        if draft.playbook == "items" and self.meanwhile is not None:
            self.meanwhile()
        return results

    def _answers(self, draft: Draft, host: str) -> list[tuple[str, dict[str, Any]]]:
        if draft.playbook == "host":
            marks = self.marks.get(host, NOTHING)
            said = answer(boot=self.boots.get(host), domains=self.domains.get(host, []), contents=marks)
            return [("host_info", {"host": said})]
        return [
            (module, {"results": [self.said.get((host, module, item["id"]), _same(item["id"]))]})
            for kind, items in draft.items.get(host, {}).items()
            for item in items
            for module in MODULES[kind]
        ]

    def close(self) -> None:
        """Do nothing: there is no warm process."""


def _same(identifier: str) -> dict[str, Any]:
    return {"id": identifier, "changed": False, "action": None}


@pytest.fixture(scope="module")
def fixtures(api: Api) -> Iterator[Fixtures]:
    add_hosts(api.cloud, "h1", "h2")
    with api.connect() as admin, api.connect("demo", "demo") as demo:
        yield make_fixtures(api, admin, demo)


@pytest.fixture
def hosts(api: Api, monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    hosts = FakeHosts()
    monkeypatch.setattr(api.cloud, "planner", hosts)
    return hosts


def asking(connection: Connection, api: Api) -> Ask:
    def ask(path: str = "drift", expected: int = 0, **body: Any) -> dict[str, Any]:
        answer: requests.Response = connection.session.post(f"{api.url}/v1/{path}", json=body, raise_exc=False)
        assert answer.status_code == (expected or {"drift": 200, "converge": 202}[path]), answer.text
        found: dict[str, Any] = answer.json()
        return found

    return ask


@pytest.fixture
def ask(api: Api, admin: Connection) -> Ask:
    return asking(admin, api)


@pytest.fixture
def ask_demo(api: Api, demo: Connection) -> Ask:
    return asking(demo, api)


class Made:
    """An ACTIVE server of demo, with its port."""

    def __init__(self, api: Api, identifier: str) -> None:
        self.api, self.id = api, identifier
        with api.cloud.database.read() as session:
            self.host = str(session.get_one(Server, identifier).host)
            port = session.scalars(select(Port).where(Port.device_id == identifier)).one()
            self.port, self.network, self.tap = port.id, port.network_id, f"tap{port.id[:11]}"

    def set(self, **values: Any) -> None:
        with self.api.cloud.database.write() as session:
            for key, value in values.items():
                setattr(session.get_one(Server, self.id), key, value)

    def get(self) -> Server:
        with self.api.cloud.database.read() as session:
            return session.get_one(Server, self.id)


@pytest.fixture
def server(api: Api, demo: Connection, fixtures: Fixtures) -> Iterator[Made]:
    nova = Nova(demo, api.url)
    identifier = nova("POST", "/servers", fixtures.body("there")).json()["server"]["id"]
    run_jobs(api.cloud)
    yield Made(api, identifier)
    nova("DELETE", f"/servers/{identifier}")
    run_jobs(api.cloud)


def jobs_of(answer: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(job["playbook"], job["action"], job["resources"][0]["id"]) for job in answer["jobs"]}


def works(api: Api) -> list[Work]:
    return run_jobs(api.cloud)


def texts(report: dict[str, Any]) -> dict[str, list[str]]:
    return {one["id"]: [difference["text"] for difference in one["differences"]] for one in report["resources"]}


def port(**changes: Any) -> dict[str, Any]:
    return {"stale": False, "tag": 1, **changes}


def killed(hosts: FakeHosts, server: Made, reason: str) -> None:
    hosts.domains[server.host] = [{"id": server.id, "power": "shutoff", "reason": reason}]
    hosts.say(server.host, "libvirt_domain", server.id, before={"power": "shutoff"}, after={"power": "running"})


def leave(hosts: FakeHosts, host: str, network: str) -> dict[str, str]:
    """Return leftovers of all kinds on a host."""
    ids = {kind: str(uuid4()) for kind in ("server", "network", "port", "image")}
    tap = {"name": f"tap{ids['port'][:11]}", "id": network, "port_id": ids["port"], "peer": None}
    tunnel = {"name": "vx99", "id": network, "port_id": None, "peer": "203.0.113.9"}
    lost = {"name": "dh99", "id": ids["network"], "port_id": None, "peer": None}
    hosts.domains[host] = [{"id": ids["server"], "power": "running", "reason": None}]
    hosts.mark(
        host,
        server_disk=[{"id": ids["server"], "disk": True, "image_id": ids["image"]}],
        ovs_network=[tap, tunnel, lost],
        dhcp_network=[{"id": ids["network"], "ports": []}],
        image_cache=[{"id": ids["image"]}],
    )
    return ids

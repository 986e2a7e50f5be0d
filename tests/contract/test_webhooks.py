"""Webhooks, from their creation to the receiver."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from skywright.core import Outcome
from skywright.db.jobs import Job
from skywright.db.webhooks import Delivery
from skywright.jobs.engine.settle import settle
from skywright.jobs.webhooks import deliveries, receivers
from skywright.jobs.webhooks.deliveries import Deliveries


class Receiver(ThreadingHTTPServer):
    """Stores its messages; the path determines the answer: /500, /slow, /redirect, /drip."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: list[tuple[str, dict[str, str], bytes]] = []
        self.over = threading.Event()
        self.answering, self.most_at_once, self.lock = 0, 0, threading.Lock()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """One more request is being answered."""
        with self.lock:
            self.answering += 1
            self.most_at_once = max(self.most_at_once, self.answering)
        try:
            yield
        finally:
            with self.lock:
                self.answering -= 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait(self, path: str, seconds: float = 10) -> tuple[dict[str, str], bytes]:
        """Wait for the first message to *path* and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for where, headers, body in self.messages:
                if where == path:
                    return headers, body
            time.sleep(0.02)
        raise AssertionError(f"nothing came to {path}")


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        with self.server.counted():
            self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        if self.path == "/slow":
            self.server.over.wait(30)
        status = {"/500": 500, "/redirect": 302}.get(self.path, 200)
        self.send_response(status)
        self.send_header("Location", f"{self.server.url}/elsewhere")
        while self.path == "/drip" and not self.server.over.wait(0.05):
            self.send_header("X-Drop", "of water")
            self.flush_headers()
        self.end_headers()
        if self.path == "/endless":
            while not self.server.over.is_set():
                self.wfile.write(b"x" * 65536)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def sending(api: Api) -> Iterator[None]:
    """Run a worker's thread that sends deliveries, with private networks permitted."""
    api.cloud.settings.webhook_networks = "127.0.0.0/8"
    patch = pytest.MonkeyPatch()
    patch.setattr(deliveries, "LOOK_SECONDS", 0.05)
    patch.setattr(receivers, "LIMIT_SECONDS", 1.0)
    thread = Deliveries(api.cloud)
    thread.start()
    yield
    thread.stop()
    patch.undo()
    api.cloud.settings.webhook_networks = ""


def subscribe(api: Api, connection: Connection, url: str, **fields: Any) -> dict[str, Any]:
    answer = connection.session.post(f"{api.url}/v1/webhooks", json={"webhook": {"url": url, **fields}})
    assert answer.status_code == 201
    webhook: dict[str, Any] = answer.json()["webhook"]
    return webhook


def end(api: Api, project: str, ok: bool = True) -> str:
    with api.cloud.database.write() as session:
        job = Job(playbook="image", action="delete", project_id=project, user_id="u")
        session.add(job)
        session.flush()
        settle(session, api.cloud, job, Outcome(ok=ok, error=None if ok else "no disk"))
        return job.id


def tried(api: Api, connection: Connection, webhook: dict[str, Any]) -> dict[str, Any]:
    """Return the webhook's newest delivery when an attempt of it has ended."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        last = connection.session.get(f"{api.url}/v1/webhooks/{webhook['id']}").json()["webhook"]["last_delivery"]
        if last and (last["ended_at"] or last["reason"]):
            found: dict[str, Any] = last
            return found
        time.sleep(0.05)
    raise AssertionError("no attempt has ended")


@pytest.fixture(autouse=True)
def no_webhooks_left(api: Api, admin: Connection) -> Iterator[None]:
    yield
    for webhook in admin.session.get(f"{api.url}/v1/webhooks").json()["webhooks"]:
        assert admin.session.delete(f"{api.url}/v1/webhooks/{webhook['id']}").status_code == 204
    with api.cloud.database.read() as session:
        assert session.query(Delivery).count() == 0


@pytest.mark.usefixtures("sending")
def test_the_end_of_a_job_is_sent_with_a_valid_signature(api: Api, demo: Connection, receiver: Receiver) -> None:
    webhook = subscribe(api, demo, f"{receiver.url}/good?token=x", states=["failed"], description="pager")
    end(api, demo.current_project_id)
    job_id = end(api, demo.current_project_id, ok=False)
    headers, body = receiver.wait("/good?token=x")
    key = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert json.loads(body)["data"]["job"] | {"id": job_id, "state": "failed"} == json.loads(body)["data"]["job"]
    delivery = tried(api, demo, webhook)
    assert (delivery["state"], delivery["status"], delivery["id"]) == ("delivered", 200, headers["webhook-id"])


@pytest.mark.usefixtures("sending")
def test_failed_deliveries_have_a_reason_and_delay_no_others(api: Api, demo: Connection, receiver: Receiver) -> None:
    bad = {
        "/500": "The receiver answered 500",
        "/redirect": "The receiver answered 302",
        "/slow": "There was no answer within 1 s",
        "/drip": "There was no answer within 1 s",
    }
    hooks = {path: subscribe(api, demo, f"{receiver.url}{path}") for path in bad}
    hooks["closed"] = subscribe(api, demo, "http://127.0.0.1:1/")
    hooks["nobody"] = subscribe(api, demo, "http://nobody.invalid/")
    good = subscribe(api, demo, f"{receiver.url}/quick")
    endless = subscribe(api, demo, f"{receiver.url}/endless")
    end(api, demo.current_project_id)
    receiver.wait("/quick")
    assert tried(api, demo, good)["state"] == "delivered"
    assert tried(api, demo, endless)["state"] == "delivered"
    assert {path: tried(api, demo, hooks[path])["reason"] for path in bad} == bad
    assert receiver.most_at_once >= 2, "two that give no answer are waited for together"
    assert "ConnectError" in tried(api, demo, hooks["closed"])["reason"]
    last = tried(api, demo, hooks["nobody"])
    assert last["reason"].startswith("nobody.invalid has no address")
    assert (last["state"], last["attempts"], last["next_at"] > last["created_at"]) == ("pending", 1, True)
    assert not [path for path, *_ in receiver.messages if path == "/elsewhere"]


def test_webhooks_are_listed_shown_and_removed_by_their_project(
    api: Api, admin: Connection, demo: Connection, alt: Connection
) -> None:
    mine = subscribe(api, demo, "https://example.org/hook", playbooks=["server"])
    secret = mine.pop("secret")
    assert secret.startswith("whsec_")
    everyones = subscribe(api, admin, "https://example.org/all", all_projects=True)
    url = f"{api.url}/v1/webhooks"
    assert demo.session.get(url).json() == {"webhooks": [mine]}
    assert alt.session.get(url).json() == {"webhooks": []}
    assert {row["id"] for row in admin.session.get(url).json()["webhooks"]} == {mine["id"], everyones["id"]}
    assert everyones["project_id"] is None
    for connection, identifier in ((alt, mine["id"]), (demo, everyones["id"]), (demo, "none")):
        for method, path in (("GET", ""), ("GET", "/deliveries"), ("DELETE", "")):
            answer = connection.session.request(f"{url}/{identifier}{path}", method, raise_exc=False)
            assert answer.status_code == 404, (method, path)
    assert demo.session.delete(f"{url}/{mine['id']}").status_code == 204
    assert demo.session.get(url).json() == {"webhooks": []}


def test_playbooks_that_no_job_can_have_are_refused(api: Api, admin: Connection, demo: Connection) -> None:
    good = {"playbooks": ["server", "network", "operator/package_updates"]}
    assert subscribe(api, admin, "https://example.org/hook", **good)["playbooks"] == sorted(good["playbooks"])
    for connection, bad in (
        (admin, ["sever"]),
        (admin, ["package_updates", "operator"]),
        (admin, ["operator/none"]),
        (demo, ["operator/package_updates"]),  # only administrators see operator playbooks
    ):
        body = {"webhook": {"url": "https://example.org/", "playbooks": ["server", *bad]}}
        answer = connection.session.post(f"{api.url}/v1/webhooks", json=body, raise_exc=False)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == f"There are no playbooks with these names: {', '.join(bad)}."


def test_deliveries_are_paged(api: Api, demo: Connection) -> None:
    webhook = subscribe(api, demo, "https://example.org/hook")
    jobs = [end(api, demo.current_project_id) for _ in range(3)]
    url = f"{api.url}/v1/webhooks/{webhook['id']}/deliveries"
    first = demo.session.get(url, params={"limit": 2}).json()["deliveries"]
    rest = demo.session.get(url, params={"marker": first[-1]["id"]}).json()["deliveries"]
    assert [row["job_id"] for row in (*first, *rest)] == jobs[::-1]
    assert demo.session.get(url, params={"state": "delivered"}).json() == {"deliveries": []}
    assert demo.session.get(url, params={"marker": "x"}, raise_exc=False).status_code == 404

"""A worker is killed while it sends a delivery: the next worker sends it again with the same id."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jobs_fake
import pytest

from skywright.db import utcnow
from skywright.db.jobs import Job
from skywright.db.webhooks import Delivery, Webhook
from skywright.jobs.webhooks import announce


class Receiver(ThreadingHTTPServer):
    """Answers from the second message on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ids: list[str] = []
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.ids.append(self.headers["webhook-id"])
        if len(self.server.ids) == 1:
            self.server.over.wait(30)
            return
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_delivery_outlives_its_worker(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYWRIGHT_WEBHOOK_NETWORKS", "127.0.0.0/8")
    cloud = jobs_fake.make_cloud(tmp_path)
    with cloud.database.write() as session:
        url = f"http://127.0.0.1:{receiver.server_port}/"
        secret = cloud.secrets.seal(b"k" * 32)
        session.add(Webhook(user_id="u", url=url, states=["successful"], playbooks=["fake"], sealed_secret=secret))
    job_id = jobs_fake.submit(cloud, "told")

    def delivery() -> Delivery | None:
        with cloud.database.read() as session:
            return session.query(Delivery).one_or_none()

    with jobs_fake.worker_process(tmp_path):
        jobs_fake.wait_for(lambda: receiver.ids, 60)
    assert jobs_fake.job(cloud, job_id).state == "successful"
    taken = delivery()
    assert taken is not None
    assert (taken.state, taken.attempts, taken.next_at - utcnow() > announce.LEASE / 2) == ("pending", 1, True)
    with cloud.database.write() as session:
        session.query(Delivery).update({"next_at": utcnow()})  # as if the time of that attempt was over
    with jobs_fake.worker_process(tmp_path):
        jobs_fake.wait_for(lambda: (found := delivery()) and found.state == "delivered", 60)
    assert receiver.ids == [taken.id] * 2
    with cloud.database.read() as session:
        assert [job.id for job in session.query(Job)] == [taken.job_id]
    cloud.database.engine.dispose()

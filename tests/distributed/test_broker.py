"""Notifications through RabbitMQ: they arrive, late if the broker was down, and do not accumulate."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.connection import Connection

from distributed.servers import RabbitMq, wait_for
from skywright.queue.broker import WORK, BrokerQueue
from skywright.queue.local import LocalQueue


def make(rabbitmq: RabbitMq, directory: Path) -> BrokerQueue:
    return BrokerQueue(rabbitmq.url, LocalQueue(directory))


@pytest.fixture
def sender(rabbitmq: RabbitMq, tmp_path: Path) -> Iterator[BrokerQueue]:
    """The queue of an API; those of the workers are in other directories, like on other machines."""
    queue = make(rabbitmq, tmp_path / "api")
    yield queue
    queue.close()


@pytest.fixture
def workers(rabbitmq: RabbitMq, tmp_path: Path) -> Iterator[list[BrokerQueue]]:
    queues = [make(rabbitmq, tmp_path / f"worker{number}") for number in range(2)]
    for queue in queues:
        queue.wait(0)
        assert queue.wait(10), "a new listener polls once"
    while any(queue.wait(0.5) for queue in queues):  # messages of earlier tests
        pass
    yield queues
    for queue in queues:
        queue.close()


def notified(workers: list[BrokerQueue], seconds: float = 5) -> int:
    """Return how many of *workers* are notified within a moment."""
    limit = time.monotonic() + seconds
    heard = [False] * len(workers)
    while not any(heard) and time.monotonic() < limit:
        heard = [queue.wait(0.1) for queue in workers]
    return sum(was or queue.wait(0.5) for was, queue in zip(heard, workers, strict=True))


def test_one_worker_is_notified_of_a_job_and_all_of_a_cancellation(
    sender: BrokerQueue, workers: list[BrokerQueue]
) -> None:
    sender.notify()
    assert notified(workers) == 1
    sender.notify_all()
    assert notified(workers) == 2
    workers[0].wake()
    assert notified(workers) == 1
    assert notified(workers, 1) == 0


def test_changes_notify_followers_but_no_workers(
    rabbitmq: RabbitMq, sender: BrokerQueue, workers: list[BrokerQueue], tmp_path: Path
) -> None:
    others = [make(rabbitmq, tmp_path / f"api{number}") for number in range(2)]
    heard = [threading.Event() for _ in others]
    for queue, event in zip(others, heard, strict=True):
        queue.subscribe(event.set)
        assert event.wait(10), "a new listener polls once"
        event.clear()
    sender.notify_followers()
    assert all(event.wait(5) for event in heard)
    assert notified(workers, 0.5) == 0
    for queue in others:
        queue.close()


def test_clients_reconnect_to_a_lost_broker(
    rabbitmq: RabbitMq,
    sender: BrokerQueue,
    workers: list[BrokerQueue],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender.notify()
    assert notified(workers) == 1
    neighbour = LocalQueue(tmp_path / "api")  # a worker on the sender's machine
    neighbour.wait(0)
    with caplog.at_level(logging.INFO):
        rabbitmq.kill()
        began = time.monotonic()
        sender.notify()
        assert time.monotonic() - began < 0.1, "sending does not wait for the broker"
        assert neighbour.wait(10)
        wait_for(lambda: sender.state() != "ok", 10, "the loss to be seen")
        rabbitmq.start()
        wait_for(lambda: sender.state() == "ok", 30, "the broker to be found")
        for queue in workers:
            assert queue.wait(30), "a reconnected listener polls once"
        while notified(workers, 1):  # the message that was kept for it
            pass
        sender.notify()
        assert notified(workers, 20) == 1
    neighbour.close()
    assert "guest" not in caplog.text


def test_messages_without_consumers_do_not_accumulate(rabbitmq: RabbitMq, sender: BrokerQueue) -> None:
    for _ in range(3000):
        sender.notify()
    with Connection(rabbitmq.url) as connection:
        queue = WORK(connection.channel())
        for _ in range(150):
            connection.Producer().publish(b"", exchange="", routing_key=WORK.name)
        time.sleep(1)
        assert queue.queue_declare(passive=True).message_count <= 100
        queue.purge()

"""Words through RabbitMQ: they arrive, a lost broker only makes them late, and none pile up."""

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
    """An API's queue; the workers' are in other directories, as on other machines."""
    queue = make(rabbitmq, tmp_path / "api")
    yield queue
    queue.close()


@pytest.fixture
def workers(rabbitmq: RabbitMq, tmp_path: Path) -> Iterator[list[BrokerQueue]]:
    queues = [make(rabbitmq, tmp_path / f"worker{number}") for number in range(2)]
    for queue in queues:
        queue.wait(0)
        assert queue.wait(10), "whoever begins to listen looks once"
    while any(queue.wait(0.5) for queue in queues):  # what earlier tests left
        pass
    yield queues
    for queue in queues:
        queue.close()


def told(workers: list[BrokerQueue], seconds: float = 5) -> int:
    """How many of *workers* hear a word, the others having had a moment, too."""
    limit = time.monotonic() + seconds
    heard = [False] * len(workers)
    while not any(heard) and time.monotonic() < limit:
        heard = [queue.wait(0.1) for queue in workers]
    return sum(was or queue.wait(0.5) for was, queue in zip(heard, workers, strict=True))


def test_one_worker_hears_of_a_job_and_all_hear_of_what_only_one_can_do(
    sender: BrokerQueue, workers: list[BrokerQueue]
) -> None:
    sender.notify()
    assert told(workers) == 1
    sender.notify_all()
    assert told(workers) == 2
    workers[0].wake()
    assert told(workers) == 1
    assert told(workers, 1) == 0


def test_changes_are_announced_to_followers_and_disturb_no_worker(
    rabbitmq: RabbitMq, sender: BrokerQueue, workers: list[BrokerQueue], tmp_path: Path
) -> None:
    others = [make(rabbitmq, tmp_path / f"api{number}") for number in range(2)]
    heard = [threading.Event() for _ in others]
    for queue, event in zip(others, heard, strict=True):
        queue.subscribe(event.set)
        assert event.wait(10), "whoever begins to listen looks once"
        event.clear()
    sender.notify_followers()
    assert all(event.wait(5) for event in heard)
    assert told(workers, 0.5) == 0
    for queue in others:
        queue.close()


def test_a_lost_broker_is_noticed_and_found_again(
    rabbitmq: RabbitMq,
    sender: BrokerQueue,
    workers: list[BrokerQueue],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender.notify()
    assert told(workers) == 1
    neighbour = LocalQueue(tmp_path / "api")  # a worker on the sender's machine
    neighbour.wait(0)
    with caplog.at_level(logging.INFO):
        rabbitmq.kill()
        began = time.monotonic()
        sender.notify()
        assert time.monotonic() - began < 0.1, "nobody waits for the broker"
        assert neighbour.wait(10)
        wait_for(lambda: sender.state() != "ok", 10, "the loss to be seen")
        rabbitmq.start()
        wait_for(lambda: sender.state() == "ok", 30, "the broker to be found")
        for queue in workers:
            assert queue.wait(30), "whoever finds the broker again looks once"
        while told(workers, 1):  # the word that was kept for it
            pass
        sender.notify()
        assert told(workers, 20) == 1
    neighbour.close()
    assert "guest" not in caplog.text


def test_words_that_nobody_takes_do_not_pile_up(rabbitmq: RabbitMq, sender: BrokerQueue) -> None:
    for _ in range(3000):
        sender.notify()
    with Connection(rabbitmq.url) as connection:
        queue = WORK(connection.channel())
        for _ in range(150):
            connection.Producer().publish(b"", exchange="", routing_key=WORK.name)
        time.sleep(1)
        assert queue.queue_declare(passive=True).message_count <= 100
        queue.purge()

"""The queue on RabbitMQ: several machines' API processes and workers hear of each other.

A word is empty: it says "look". The broker may be lost at any time, with all that it holds: words are sent in the
background or not at all, this machine's workers are told directly meanwhile, and all look every few seconds anyway.
"""

import logging
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlencode, urlsplit

from amqp.exceptions import AMQPError
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Consumer, Producer

from skywright.backoff import Backoff
from skywright.queue.local import LocalQueue

log = logging.getLogger(__name__)

# Whoever of the workers is free takes a word from the one queue; those for everybody go to a queue of each worker's.
# What nobody takes may not pile up: old words are dropped.
WORK = Queue(
    "skywright.work",
    Exchange(""),
    routing_key="skywright.work",
    durable=True,
    queue_arguments={
        "x-queue-type": "quorum",
        "x-max-length": 100,
        "x-overflow": "drop-head",
        "x-message-ttl": 60_000,
    },
)
ALL = Exchange("skywright.workers", "fanout", durable=True)
CHANGES = Exchange("skywright.changes", "fanout", durable=True)  # for those who follow jobs
CONNECT_SECONDS = 5
HEARTBEAT_SECONDS = 15
CONFIRM_SECONDS = 5
LOOK_SECONDS = 1.0  # how often a listener looks whether it is to stop
RECONNECT = Backoff(0.5, 15.0)


class BrokerQueue:
    """The queue of the broker at *url*; *local* wakes this process, and tells this machine while the broker is away."""

    def __init__(self, url: str, local: LocalQueue) -> None:
        self._local = local
        self._url = url
        self._publisher = Publisher(url, local.notify)
        self._listener = Listener(url, local.wake, ALL, WORK)
        self._followers: list[Listener] = []

    def notify(self) -> None:
        self._publisher.send(WORK.exchange)

    def notify_all(self) -> None:
        self._publisher.send(ALL)

    def announce(self) -> None:
        self._publisher.send(CHANGES)

    def listen(self, call: Callable[[], None]) -> None:
        self._followers.append(Listener(self._url, call, CHANGES))
        self._followers[-1].start()

    def wake(self) -> None:
        self._local.wake()

    def wait(self, timeout: float) -> bool:
        told = self._local.wait(timeout)
        self._listener.start()
        return told

    def state(self) -> str:
        return self._publisher.look() or "ok"

    def close(self) -> None:
        for background in (self._listener, *self._followers, self._publisher):
            background.stop()
        self._local.close()


def connect(urls: str) -> Connection:
    """A connection to one of the nodes *urls*, which are tried in any order, so that clients spread over them."""
    nodes = urls.split(";")
    for left, url in zip(reversed(range(len(nodes))), random.sample(nodes, len(nodes)), strict=True):
        connection = connection_to(url)
        try:
            connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
        except Exception:
            with suppress(Exception):
                connection.close()
            if left == 0:
                raise
        else:
            break
    return connection


def connection_to(url: str) -> Connection:
    """A connection to be made; with TLS to a node whose certificate, by *ssl_ca*, has its name or address."""
    node = urlsplit(url)
    tls: dict[str, object] | None = None
    if node.scheme == "amqps":
        parameters = parse_qs(node.query)
        authority = parameters.pop("ssl_ca", [None])[0]
        tls = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": authority, "server_hostname": node.hostname}
        url = node._replace(query=urlencode(parameters, doseq=True)).geturl()
    return Connection(
        url,
        ssl=tls,
        connect_timeout=CONNECT_SECONDS,
        heartbeat=HEARTBEAT_SECONDS,
        transport_options={"confirm_publish": True},
    )


class _Background:
    """A thread with a connection that it makes again, with longer and longer pauses, whenever it is lost."""

    name = ""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None

    def start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2 * LOOK_SECONDS)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connection() as connection:
                    self._work(connection)
            except Exception as error:  # whatever it is: without this thread nobody would hear of anything
                if self.trouble is None:
                    log.warning("the broker is lost (%s); workers look every few seconds", _reason(error))
                failures = 0 if self.trouble is None else failures + 1
                self.trouble = type(error).__name__
                self._lost()
                self._stopping.wait(RECONNECT.pause(failures) * random.uniform(0.5, 1))

    def _work(self, connection: Connection) -> None:
        """Work until told to stop; an exception when the connection is lost."""
        raise NotImplementedError

    def _lost(self) -> None:
        """The connection was lost, or could not be made."""

    def _is_back(self) -> None:
        if self.trouble is not None:
            log.info("the broker is back")
        self.trouble = None

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = connect(self._url)
        try:
            yield connection
        finally:
            with suppress(Exception):
                connection.close()


class Publisher(_Background):
    """Sends words; any number of them that wait are one. *otherwise* is called for workers' that cannot be sent."""

    name = "broker-publisher"

    def __init__(self, url: str, otherwise: Callable[[], None]) -> None:
        super().__init__(url)
        self._otherwise = otherwise
        self._waiting = threading.Condition()
        self._wanted: dict[str, Exchange] = {}

    def send(self, exchange: Exchange) -> None:
        """Send a word soon."""
        self.start()
        with self._waiting:
            self._wanted[exchange.name] = exchange
            self._waiting.notify()
        if self.trouble is not None and exchange is not CHANGES:
            self._otherwise()

    def look(self) -> str | None:
        """What is wrong with the broker; None if nothing is known to be."""
        self.start()
        return self.trouble

    def stop(self) -> None:
        self._stopping.set()
        with self._waiting:
            self._waiting.notify()
        super().stop()

    def _work(self, connection: Connection) -> None:
        producer = Producer(connection.channel())
        WORK(producer.channel).declare()
        for exchange in (ALL, CHANGES):
            exchange(producer.channel).declare()
        self._is_back()
        while not self._stopping.is_set():
            with self._waiting:
                if not self._wanted:
                    self._waiting.wait(LOOK_SECONDS)
                wanted, self._wanted = self._wanted, {}
            try:
                for exchange in wanted.values():
                    self._publish(producer, exchange)
            except Exception:
                self._wanted = wanted | self._wanted  # on the next connection
                raise
            connection.heartbeat_check(rate=2)
            with suppress(socket.timeout):
                connection.drain_events(timeout=0.001)

    @staticmethod
    def _publish(producer: Producer, exchange: Exchange) -> None:
        producer.publish(
            b"",
            exchange=exchange,
            routing_key=WORK.routing_key if exchange is WORK.exchange else "",
            content_type="application/octet-stream",
            content_encoding="binary",
            timeout=CONFIRM_SECONDS,
            confirm_timeout=CONFIRM_SECONDS,
        )

    def _lost(self) -> None:
        if self._wanted.keys() - {CHANGES.name}:
            self._otherwise()


class Listener(_Background):
    """Calls *wake* for each word to *everybody* or that it takes out of *shared*, and when the broker is back."""

    name = "broker-listener"

    def __init__(self, url: str, wake: Callable[[], None], everybody: Exchange, shared: Queue | None = None) -> None:
        super().__init__(url)
        self._wake, self._everybody, self._shared = wake, everybody, shared

    def _work(self, connection: Connection) -> None:
        channel = connection.channel()
        own = Queue("", self._everybody, exclusive=True, auto_delete=True, max_length=10)
        queues = [own] if self._shared is None else [own, self._shared]
        with Consumer(channel, queues, callbacks=[self._told], prefetch_count=1):
            self._is_back()
            self._wake()
            last = time.monotonic()
            while not self._stopping.is_set():
                with suppress(socket.timeout):
                    connection.drain_events(timeout=LOOK_SECONDS)
                if time.monotonic() - last > LOOK_SECONDS:
                    last = time.monotonic()
                    connection.heartbeat_check(rate=2)

    def _told(self, _body: object, message: object) -> None:
        message.ack()  # type: ignore[attr-defined]
        self._wake()


def _reason(error: Exception) -> str:
    """What *error* says, unless it might say the URL, which has a password."""
    known = isinstance(error, OSError | AMQPError)
    return f"{type(error).__name__}: {error}" if known else type(error).__name__

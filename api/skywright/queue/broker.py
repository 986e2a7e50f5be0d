"""Notifications through RabbitMQ, between the API processes and workers of several machines.

A message is empty and means "look into the database". The broker may be lost at any time, with all messages: messages
are sent in the background or not at all. While the broker is away, the workers of this machine are notified directly,
and every worker looks into the database every few seconds anyway.
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

# One free worker takes a message out of the shared queue. Messages for all workers go to an exclusive queue of each
# worker. Old messages that no worker takes are dropped.
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
CHANGES = Exchange("skywright.changes", "fanout", durable=True)  # for processes that follow jobs
CONNECT_SECONDS = 5
HEARTBEAT_SECONDS = 15
CONFIRM_SECONDS = 5
POLL_SECONDS = 1.0  # how often a thread checks whether it has to stop
RECONNECT = Backoff(0.5, 15.0)


class BrokerQueue:
    """The queue of the broker at *url*.

    *local* wakes this process, and notifies this machine's workers while the broker is away.
    """

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

    def notify_followers(self) -> None:
        self._publisher.send(CHANGES)

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._followers.append(Listener(self._url, callback, CHANGES))
        self._followers[-1].start()

    def wake(self) -> None:
        self._local.wake()

    def wait(self, timeout: float) -> bool:
        notified = self._local.wait(timeout)
        self._listener.start()
        return notified

    def state(self) -> str:
        return self._publisher.check() or "ok"

    def close(self) -> None:
        for thread in (self._listener, *self._followers, self._publisher):
            thread.stop()
        self._local.close()


def connect(urls: str) -> Connection:
    """Return a connection to one of the nodes in *urls*, tried in random order to spread the clients over the nodes."""
    nodes = urls.split(";")
    for left, url in zip(reversed(range(len(nodes))), random.sample(nodes, len(nodes)), strict=True):
        connection = unopened_connection(url)
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


def unopened_connection(url: str) -> Connection:
    """Return a connection that is not open yet; `amqps` verifies the node's certificate by the CA in `?ssl_ca=`."""
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


class _BrokerThread:
    """A thread that owns a connection to the broker and reconnects with increasing pauses when it is lost."""

    name = ""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = threading.Event()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.error: str | None = None

    def start(self) -> None:
        with self._start_lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2 * POLL_SECONDS)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connection() as connection:
                    self._work(connection)
            except Exception as error:  # of any type: the thread has to survive
                if self.error is None:
                    log.warning("the connection to the broker is lost (%s); workers poll the database", _reason(error))
                failures = 0 if self.error is None else failures + 1
                self.error = type(error).__name__
                self._on_connection_lost()
                self._stopping.wait(RECONNECT.pause(failures) * random.uniform(0.5, 1))

    def _work(self, connection: Connection) -> None:
        """Work until `stop`; raise an exception when the connection is lost."""
        raise NotImplementedError

    def _on_connection_lost(self) -> None:
        """Called when the connection was lost or could not be made."""

    def _on_connected(self) -> None:
        if self.error is not None:
            log.info("connected to the broker again")
        self.error = None

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = connect(self._url)
        try:
            yield connection
        finally:
            with suppress(Exception):
                connection.close()


class Publisher(_BrokerThread):
    """Sends notifications; those of one exchange that wait become one.

    While the broker is away, *fallback* is called in place of a notification for workers.
    """

    name = "broker-publisher"

    def __init__(self, url: str, fallback: Callable[[], None]) -> None:
        super().__init__(url)
        self._fallback = fallback
        self._waiting = threading.Condition()
        self._pending: dict[str, Exchange] = {}

    def send(self, exchange: Exchange) -> None:
        """Send a notification to *exchange* soon, in the background."""
        self.start()
        with self._waiting:
            self._pending[exchange.name] = exchange
            self._waiting.notify()
        if self.error is not None and exchange is not CHANGES:
            self._fallback()

    def check(self) -> str | None:
        """Return the name of the last error of the connection, or None if there is none."""
        self.start()
        return self.error

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
        self._on_connected()
        while not self._stopping.is_set():
            with self._waiting:
                if not self._pending:
                    self._waiting.wait(POLL_SECONDS)
                pending, self._pending = self._pending, {}
            try:
                for exchange in pending.values():
                    self._publish(producer, exchange)
            except Exception:
                self._pending = pending | self._pending  # is sent on the next connection
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

    def _on_connection_lost(self) -> None:
        if self._pending.keys() - {CHANGES.name}:
            self._fallback()


class Listener(_BrokerThread):
    """Calls *callback* for each message of *exchange* and of the queue *shared*, and after each reconnection."""

    name = "broker-listener"

    def __init__(self, url: str, callback: Callable[[], None], exchange: Exchange, shared: Queue | None = None) -> None:
        super().__init__(url)
        self._callback, self._exchange, self._shared = callback, exchange, shared

    def _work(self, connection: Connection) -> None:
        channel = connection.channel()
        own = Queue("", self._exchange, exclusive=True, auto_delete=True, max_length=10)
        queues = [own] if self._shared is None else [own, self._shared]
        with Consumer(channel, queues, callbacks=[self._on_message], prefetch_count=1):
            self._on_connected()
            self._callback()
            last = time.monotonic()
            while not self._stopping.is_set():
                with suppress(socket.timeout):
                    connection.drain_events(timeout=POLL_SECONDS)
                if time.monotonic() - last > POLL_SECONDS:
                    last = time.monotonic()
                    connection.heartbeat_check(rate=2)

    def _on_message(self, _body: object, message: object) -> None:
        message.ack()  # type: ignore[attr-defined]
        self._callback()


def _reason(error: Exception) -> str:
    """Return the text of *error*, or only its type if the text could hold the URL, which has a password."""
    known = isinstance(error, OSError | AMQPError)
    return f"{type(error).__name__}: {error}" if known else type(error).__name__

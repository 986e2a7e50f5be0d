"""`skywright serve`: the API on all its sockets, and a worker, unless the settings disable it."""

import contextlib
import ctypes
import gc
import logging
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from skywright.app import create_app
from skywright.cli.failure import StepFailed
from skywright.db.migrate import upgrade
from skywright.http.access_log import AccessLog
from skywright.http.server import Server
from skywright.log import configure
from skywright.services import registry
from skywright.settings import Settings, load
from skywright.worker import OWNED

log = logging.getLogger(__name__)

RESTART_SECONDS = 1.0
STOP_SECONDS = 15.0
M_ARENA_MAX = -8  # from glibc's malloc.h


def serve() -> None:
    """Serve until SIGTERM or SIGINT; raise StepFailed if a port is in use."""
    configure()
    # Python runs one thread at a time: a heap for each thread would only use more memory.
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
    settings = load()
    sockets = listen(settings)
    _migrate(settings)
    server = Server(AccessLog(create_app(settings)))
    gc.freeze()  # imported objects stay: the garbage collector need not scan them again and again
    with _worker() if settings.worker else contextlib.nullcontext():
        server.run(sockets=sockets)


@contextlib.contextmanager
def _worker() -> Iterator[None]:
    """Run a worker within the block."""
    worker = Supervisor()
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def _migrate(settings: Settings) -> None:
    """Migrate the database in a process of its own, because that needs much memory only once."""
    process = multiprocessing.get_context("fork").Process(target=upgrade, args=[settings.database_url])
    process.start()
    process.join()
    if process.exitcode:
        raise StepFailed("The database cannot be migrated.", "The error is above, or in the log.")


def listen(settings: Settings) -> list[socket.socket]:
    """Return sockets on all addresses: for the common port, and for the classic ports of OpenStack's services."""
    classic = [service.port for service in registry.services() if service.port] if settings.classic_ports else []
    sockets = []
    for address in settings.listen_addresses:
        for port in (settings.port, *classic):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                sockets.append(socket.create_server((address, port), family=family, backlog=2048))
                # Connections inherit it. Without it a response in two segments waits 40 ms for the client's ACK.
                sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                raise StepFailed(
                    f"The API cannot listen on {address} port {port}: {error.strerror}",
                    "Set SKYWRIGHT_LISTEN or SKYWRIGHT_PORT, or SKYWRIGHT_CLASSIC_PORTS=false.",
                ) from error
    return sockets


class Supervisor:
    """Keeps one worker process running."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self) -> None:
        self._process = self._spawn()
        self._thread.start()

    def stop(self) -> None:
        """Stop the worker, with SIGKILL if necessary."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()

    def _supervise(self) -> None:
        while self._process is not None:
            code = self._process.wait()
            if self._stopping.is_set():
                return
            log.error("the worker ended with %d; starting another one", code)
            time.sleep(RESTART_SECONDS)
            if not self._stopping.is_set():
                self._process = self._spawn()

    @staticmethod
    def _spawn() -> subprocess.Popen[bytes]:
        # The worker stops when this pipe closes, however this process ends.
        return subprocess.Popen(
            [sys.executable, "-m", "skywright.worker", OWNED],
            stdin=subprocess.PIPE,
            env={**os.environ, "MALLOC_ARENA_MAX": "2"},  # as for this process
        )

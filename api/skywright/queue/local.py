"""Notifications between processes of one machine. Jobs are in the database: a lost notification only delays them."""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Queue(Protocol):
    """Notifications between the processes that queue jobs and those that run them. Only `wait` blocks."""

    def notify(self) -> None:
        """Notify one worker that a job was queued."""

    def notify_all(self) -> None:
        """Notify all workers, for something that only one of them can do."""

    def wake(self) -> None:
        """Make `wait` of this process return. Safe to call in a signal handler."""

    def wait(self, timeout: float) -> bool:
        """Wait for a notification for at most *timeout* seconds; return whether one came."""

    def notify_followers(self) -> None:
        """Notify the processes that follow jobs that something changed."""

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call *callback*, in a thread, after `notify_followers` of any process. Some notifications may be lost."""

    def state(self) -> str:
        """Return `ok`, or the name of the error."""

    def close(self) -> None:
        """Stop receiving notifications."""


class LocalQueue:
    """Sends an empty datagram to the Unix socket of each worker in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._receiver: socket.socket | None = None

    def notify(self) -> None:
        """Notify all workers: those that come late find no job."""
        for path in self._directory.glob("*.sock"):
            self._send(path)

    notify_all = notify

    def wake(self) -> None:
        if self._receiver is not None:
            self._send(self._own_path())

    def wait(self, timeout: float) -> bool:
        receiver = self._receiver or self._bind()
        ready, _, _ = select.select([receiver], [], [], timeout)
        if ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(1)
        return bool(ready)

    def notify_followers(self) -> None:
        for path in self._directory.glob("*.follower"):
            self._send(path)

    def subscribe(self, callback: Callable[[], None]) -> None:
        receiver = self._bound_socket(self._directory / f"{os.getpid()}.follower")

        def run() -> None:
            while True:
                receiver.recv(1)
                callback()

        threading.Thread(target=run, name="follower", daemon=True).start()

    def state(self) -> str:
        return "ok"

    def close(self) -> None:
        if self._receiver is not None:
            self._own_path().unlink(missing_ok=True)
            self._receiver.close()
            self._receiver = None

    def _own_path(self) -> Path:
        return self._directory / f"{os.getpid()}.sock"

    def _bind(self) -> socket.socket:
        self._receiver = self._bound_socket(self._own_path())
        self._receiver.setblocking(False)
        return self._receiver

    def _bound_socket(self, path: Path) -> socket.socket:
        self._directory.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(str(path))
        return receiver

    @staticmethod
    def _send(path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(b"", str(path))
            except ConnectionRefusedError:  # the process died
                path.unlink(missing_ok=True)
            except OSError:  # the buffer is full: the process has notifications already
                pass

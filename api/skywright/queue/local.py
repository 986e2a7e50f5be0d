"""Saying that there is work. The database holds the work; a lost word only costs a worker's next sweep."""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Queue(Protocol):
    """How those who queue jobs and those who run them hear of each other. No call blocks but `wait`."""

    def notify(self) -> None:
        """A job was queued: some worker is to look."""

    def notify_all(self) -> None:
        """Every worker is to look: only one of them can do what is wanted."""

    def wake(self) -> None:
        """Let this process's `wait` return; may be called in a signal handler."""

    def wait(self, timeout: float) -> bool:
        """Return when told, or after *timeout* seconds; whether told."""

    def announce(self) -> None:
        """Something that followers of jobs are told of has changed."""

    def listen(self, call: Callable[[], None]) -> None:
        """Call *call*, in a thread, whenever that is announced; some announcements are lost."""

    def state(self) -> str:
        """How it is: `ok`, or what is wrong."""

    def close(self) -> None:
        """Be told no more."""


class LocalQueue:
    """One machine's queue: an empty datagram to each worker's Unix socket in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._receiver: socket.socket | None = None

    def notify(self) -> None:
        """Tell all: who comes second finds nothing."""
        for path in self._directory.glob("*.sock"):
            self._tell(path)

    notify_all = notify

    def wake(self) -> None:
        if self._receiver is not None:
            self._tell(self._own_path())

    def wait(self, timeout: float) -> bool:
        receiver = self._receiver or self._bind()
        ready, _, _ = select.select([receiver], [], [], timeout)
        if ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(1)
        return bool(ready)

    def announce(self) -> None:
        for path in self._directory.glob("*.listener"):
            self._tell(path)

    def listen(self, call: Callable[[], None]) -> None:
        receiver = self._bound(self._directory / f"{os.getpid()}.listener")

        def run() -> None:
            while True:
                receiver.recv(1)
                call()

        threading.Thread(target=run, name="listener", daemon=True).start()

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
        self._receiver = self._bound(self._own_path())
        self._receiver.setblocking(False)
        return self._receiver

    def _bound(self, path: Path) -> socket.socket:
        self._directory.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(str(path))
        return receiver

    @staticmethod
    def _tell(path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(b"", str(path))
            except ConnectionRefusedError:  # of a process that died
                path.unlink(missing_ok=True)
            except OSError:  # its buffer is full: it is about to look anyway
                pass

"""Saying that there is work. The database holds the work; a lost word only costs a worker's next sweep."""

import contextlib
import select
import socket
from pathlib import Path
from typing import Protocol


class Queue(Protocol):
    """`notify` tells the workers that a job was queued; `wait` returns when told, or after *timeout* seconds."""

    def notify(self) -> None: ...

    def wait(self, timeout: float) -> bool: ...


class LocalQueue:
    """One machine's queue: an empty datagram to the worker's Unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._receiver: socket.socket | None = None

    def notify(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            # No worker, or one with a full buffer, which is about to look anyway.
            with contextlib.suppress(OSError):
                sender.sendto(b"", str(self._path))

    def wait(self, timeout: float) -> bool:
        receiver = self._receiver or self._bind()
        ready, _, _ = select.select([receiver], [], [], timeout)
        if ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(1)
        return bool(ready)

    def _bind(self) -> socket.socket:
        self._path.unlink(missing_ok=True)
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._receiver.bind(str(self._path))
        return self._receiver

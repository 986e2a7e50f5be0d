"""Saying that there is work. The database holds the work; a lost word only costs a worker's next sweep."""

import contextlib
import os
import select
import socket
from pathlib import Path
from typing import Protocol


class Queue(Protocol):
    """`notify` tells the workers that a job was queued; `wait` returns when told, or after *timeout* seconds."""

    def notify(self) -> None: ...

    def wait(self, timeout: float) -> bool: ...

    def close(self) -> None:
        """Be told no more."""


class LocalQueue:
    """One machine's queue: an empty datagram to each worker's Unix socket in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._receiver: socket.socket | None = None

    def notify(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for path in self._directory.glob("*.sock"):
                try:
                    sender.sendto(b"", str(path))
                except ConnectionRefusedError:  # a worker that died
                    path.unlink(missing_ok=True)
                except OSError:  # its buffer is full: it is about to look anyway
                    pass

    def wait(self, timeout: float) -> bool:
        receiver = self._receiver or self._bind()
        ready, _, _ = select.select([receiver], [], [], timeout)
        if ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(1)
        return bool(ready)

    def _bind(self) -> socket.socket:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{os.getpid()}.sock"
        path.unlink(missing_ok=True)
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._receiver.bind(str(path))
        return self._receiver

    def close(self) -> None:
        """Be told no more."""
        if self._receiver is not None:
            Path(self._receiver.getsockname()).unlink(missing_ok=True)
            self._receiver.close()
            self._receiver = None

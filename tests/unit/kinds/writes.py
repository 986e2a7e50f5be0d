"""A run that is killed at one of its writes: to a file of the host, by a program, by a call of libvirt.

A program, once begun, comes to its end: it is another process.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.hypervisor import Hypervisor

# What Python announces before it changes a file: the path is the first argument, or the descriptor of its directory
# is another.
EVENTS = {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NO_PROCESS = 1 << 22  # more than any process has as its id
CALLS = ((Runner, "write"), (Hypervisor, "define"), (Hypervisor, "_call"))


class Killed(BaseException):
    """The process of the run is no more: no `except Exception` sees that."""


class _Watch:
    """The run that is being watched; audit hooks are for ever, so there is one for all."""

    def __init__(self) -> None:
        self.root, self.left, self.lock, self.hooked = "", 0, threading.Lock(), False
        self.outside = threading.local()  # whether this thread is another process

    def write(self) -> None:
        with self.lock:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.root or getattr(self.outside, "now", False):
            return
        writes = event in EVENTS or (event == "open" and arguments[2] & WRITING)
        if writes and isinstance(arguments[0], str | os.PathLike) and self._inside(os.fspath(arguments[0])):
            self.write()

    def _inside(self, path: str | bytes) -> bool:
        text = os.fsdecode(path)
        return text.startswith(self.root) or not text.startswith("/")  # relative to the descriptor of a directory


_watch = _Watch()


@contextmanager
def killed_after(writes: int, root: Path) -> Iterator[None]:
    """Have all writes fail but the first few on the host in *root*: a run has no more effects then."""
    if not _watch.hooked:
        sys.addaudithook(_watch.audit)
        _watch.hooked = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: NO_PROCESS)
        for owner, name in CALLS:
            patch.setattr(owner, name, _announced(getattr(owner, name)))
        _watch.left, _watch.root = writes, f"{root}/"
        try:
            yield
        finally:
            _watch.root = ""


def _announced(call: Callable[..., Any]) -> Callable[..., Any]:
    def announced(*args: Any, **options: Any) -> Any:
        _watch.write()
        _watch.outside.now = True
        try:
            return call(*args, **options)
        finally:
            _watch.outside.now = False

    return announced

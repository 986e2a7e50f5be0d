# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks for files that several runs on one host may edit at the same time."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager

DIRECTORY = "/run/lock"


@contextmanager
def lock(name, timeout=60, directory=None):
    """Hold the lock C(name) of the host or of a directory. The kernel releases it when the process ends."""
    path = os.path.join(directory or DIRECTORY, f"skywright-{name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, path, time.monotonic() + timeout)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor, path, deadline):
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"another run holds {path} for too long") from error
            time.sleep(0.02)

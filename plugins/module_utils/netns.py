# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Network namespaces of the host: which exist, and work inside one without another process."""

from __future__ import annotations

import ctypes
import os
import socket
import threading

DIRECTORY = "/run/netns"
CLONE_NEWNET = 0x40000000


def exists(name):
    """Return whether there is a namespace; a file of an interrupted C(ip netns) is none."""
    try:
        return os.stat(os.path.join(DIRECTORY, name)).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def inside(name, work, timeout=10):
    """Return what C(work()) returns in a namespace; raise its OSError, or one if the namespace cannot be entered."""
    results, errors = [], []

    def enter():
        try:
            _enter(name)
            results.append(work())
        except OSError as error:
            errors.append(error)

    # Only this thread enters the namespace, and ends in it.
    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(timeout)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"work in namespace {name} did not end within {timeout} seconds")
    return results[0]


def has_device(name, device):
    """Return whether a device is in a namespace, which may be missing."""
    try:
        return inside(name, lambda: socket.if_nametoindex(device)) > 0
    except OSError:
        return False


def accepts(name, address, port):
    """Return whether something in a namespace, which may be missing, accepts TCP connections from there."""

    def connect():
        with socket.create_connection((address, port), timeout=1):
            return True

    try:
        return inside(name, connect)
    except OSError:
        return False


def _enter(name):
    libc = ctypes.CDLL(None, use_errno=True)
    with open(os.path.join(DIRECTORY, name), "rb") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter namespace {name}")

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Atomic writes of files, and the virtual size of qcow2 disks."""

from __future__ import annotations

import os
import re
import shutil
import struct
from contextlib import suppress

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_text(path):
    """Return a file's text, or None if it is missing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write_text(path, text, mode=0o644):
    """Write a text file atomically."""
    write_file(path, text.encode(), mode)


def write_file(path, content, mode=0o644):
    """Write a file atomically: readers see the old or the new content. The temporary file is hidden."""
    directory, name = os.path.split(path)
    _remove_temporaries(directory, name)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _remove_temporaries(directory, name):
    """Remove temporary files of the file, which killed processes left."""
    for other in os.listdir(directory):
        found = re.fullmatch(rf"\.{re.escape(name)}\.(\d+)\.tmp", other)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            remove(os.path.join(directory, other))


def ids_in(directory, suffix=""):
    """Return the UUIDs among the names in a directory, which may be missing."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    found = [name[: len(name) - len(suffix)] for name in names if name.endswith(suffix)]
    return [name for name in found if UUID.fullmatch(name)]


def remove(path):
    """Remove a file or a directory with its content, if it exists."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=False)
        return
    with suppress(FileNotFoundError):
        os.unlink(path)


def remove_written(path):
    """Remove a file, if it exists, and the temporary files that killed processes left in its directory."""
    remove(path)
    _remove_temporaries(*os.path.split(path))


def virtual_size(path):
    """Return the virtual size of a qcow2 file in bytes, or None if there is no such file."""
    try:
        with open(path, "rb") as file:
            header = file.read(32)
    except FileNotFoundError:
        return None
    if len(header) < 32 or header[:4] != b"QFI\xfb":
        return None
    return struct.unpack(">Q", header[24:32])[0]

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small ISO 9660 image made in memory: a program for it would take longer than all else about a server's disk.

Names are stored in capitals, as ECMA-119 has them, and shown in small letters by Linux. Every directory fits one
sector, which is plenty for a config drive. The same content gives the same bytes.
"""

from __future__ import annotations

import os
import struct

SECTOR = 2048
LEAST = 64  # sectors; busybox looks for no label on a disk that ends before other file systems have theirs
FIRST = 20  # after the system area, two descriptors and two path tables
DATE = bytes([126, 1, 1, 0, 0, 0, 0])  # 2026-01-01, always
NO_DATE = b"0" * 16 + b"\0"


def image(label, files):
    """Give the image of {path: content} under a volume label."""
    directories = _directories(files)
    sector = {path: FIRST + number for number, path in enumerate(directories)}
    position, data = FIRST + len(directories), b""
    for path, content in sorted(files.items()):
        sector[path] = position + len(data) // SECTOR
        data += _pad(content)
    data += bytes(max(0, LEAST - position - len(data) // SECTOR) * SECTOR)
    tables = [_path_table(directories, sector, order) for order in "<>"]
    contents = b"".join(_pad(_directory(path, directories, files, sector)) for path in directories)
    volume = _volume(label, position + len(data) // SECTOR, len(tables[0]))
    end = b"\xffCD001\x01"
    return bytes(16 * SECTOR) + b"".join(map(_pad, (volume, end, *tables))) + contents + data


def _directories(files):
    """List all directories, parents first, as the path table wants them."""
    found = {""}
    for path in files:
        parts = path.split("/")[:-1]
        found |= {"/".join(parts[:length]) for length in range(len(parts) + 1)}
    return sorted(found, key=lambda path: (path.count("/") + bool(path), path))


def _pad(content):
    return content + bytes(-len(content) % SECTOR)


def _both(number, form="I"):
    return struct.pack("<" + form, number) + struct.pack(">" + form, number)


def _record(name, sector, size, directory):
    record = _both(sector) + _both(size) + DATE + bytes([2 if directory else 0, 0, 0]) + _both(1, "H")
    record += bytes([len(name)]) + name
    record += bytes(len(record) % 2)
    return bytes([len(record) + 2, 0]) + record


def _directory(path, directories, files, sector):
    parent = os.path.dirname(path)
    records = _record(b"\0", sector[path], SECTOR, True) + _record(b"\1", sector[parent], SECTOR, True)
    for child in sorted([*directories, *files]):
        if not child or os.path.dirname(child) != path:
            continue
        name = os.path.basename(child).upper().encode("ascii")
        if child in files:
            name += b";1" if b"." in name else b".;1"
            records += _record(name, sector[child], len(files[child]), False)
        else:
            records += _record(name, sector[child], SECTOR, True)
    if len(records) > SECTOR:
        raise ValueError(f"too many files in {path}")
    return records


def _path_table(directories, sector, order):
    table = b""
    for path in directories:
        name = os.path.basename(path).upper().encode("ascii") or b"\0"
        parent = directories.index(os.path.dirname(path)) + 1
        table += struct.pack(order + "BBIH", len(name), 0, sector[path], parent) + name + bytes(len(name) % 2)
    return table


def _volume(label, sectors, table_size):
    blank = b" " * 32
    volume = b"\x01CD001\x01\x00" + blank + label.encode("ascii").ljust(32) + bytes(8)
    volume += _both(sectors) + bytes(32) + _both(1, "H") + _both(1, "H") + _both(SECTOR, "H") + _both(table_size)
    volume += struct.pack("<II", FIRST - 2, 0) + struct.pack(">II", FIRST - 1, 0)
    volume += _record(b"\0", FIRST, SECTOR, True)
    return volume + b" " * (4 * 128 + 3 * 37) + NO_DATE * 4 + b"\x01"

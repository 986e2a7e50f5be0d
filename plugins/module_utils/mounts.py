# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Removal of directories that may contain mount points."""

from __future__ import annotations

import os


def mounted_below(path):
    """Return the mount points at and below C(path), innermost first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        points = [line.split()[4].encode().decode("unicode_escape") for line in table]
    return [p for p in reversed(points) if p == path or p.startswith(path + "/")]


def remove_tree(runner, path):
    """Unmount everything below C(path), then remove it without entering another file system."""
    for point in mounted_below(path):
        runner.write(["umount", "--lazy", point])
    if os.path.lexists(path):
        runner.write(["rm", "-rf", "--one-file-system", path], timeout=300)

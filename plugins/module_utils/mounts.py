# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is mounted below a directory, and how to get rid of the directory without following a mount."""

from __future__ import annotations

import os


def mounted_below(path):
    """The mount points at and below C(path), innermost first."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        points = [line.split()[4].encode().decode("unicode_escape") for line in table]
    return [p for p in reversed(points) if p == path or p.startswith(path + "/")]


def remove_tree(runner, path):
    """Unmount what is mounted below C(path), then remove it; no other file system is ever entered."""
    for point in mounted_below(path):
        runner.write(["umount", "--lazy", point])
    if os.path.lexists(path):
        runner.write(["rm", "-rf", "--one-file-system", path], timeout=300)

"""Memory and processor time of API, worker and launcher while nobody asks for anything."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measures import Context
from bench.stats import Row, Target

SETTLE_SECONDS = 5
IDLE_SECONDS = 60  # the hosts are looked at once in that time: that is a part of being idle
SAMPLE_SECONDS = 0.1
PROC = Path("/proc")


def measure(context: Context) -> Iterator[Row]:
    root = int((context.root / "var" / "run" / "skywright.pid").read_text())
    time.sleep(SETTLE_SECONDS)
    processes = tree(root)
    rss = sum(memory(pid, "Rss") for pid in processes)
    pss = sum(memory(pid, "Pss") for pid in processes)
    percent = 100 * cpu_seconds(root, IDLE_SECONDS) / IDLE_SECONDS
    yield Row("idle: memory, shared pages counted for each (RSS)", "MB", [rss / 1e6], Target(260))
    yield Row("idle: memory, shared pages counted once (PSS)", "MB", [pss / 1e6])
    yield Row("idle: of one core", "%", [percent], Target(1), {"seconds": IDLE_SECONDS})


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    below = []
    for file in (PROC / str(pid) / "task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread or the process has ended
            below += [int(child) for child in file.read_text().split()]
    return [pid, *(found for child in below for found in tree(child))]


def memory(pid: int, key: str) -> float:
    """*key* of a process's memory, in bytes."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == key:
            return float(rest.split()[0]) * 1024
    raise LookupError(key)


def cpu_seconds(root: int, seconds: float) -> float:
    """What a process and all below it use in *seconds*. Nobody waits for runs' processes, so they are watched."""
    first = {pid: used(pid) for pid in tree(root)}
    last = dict(first)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(SAMPLE_SECONDS)
        last |= {pid: ticks for pid in tree(root) if (ticks := used(pid))}
    return sum(ticks - first.get(pid, 0) for pid, ticks in last.items()) / os.sysconf("SC_CLK_TCK")


def used(pid: int) -> int:
    """The clock ticks that a process has used; none if it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])

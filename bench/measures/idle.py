"""Memory and processor time of API, worker and launcher while nobody asks for anything."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measures import Context
from bench.stats import Row, Target

SETTLE_SECONDS = 5
IDLE_SECONDS = 60  # the hosts are looked at once in that time: that is a part of being idle
PROC = Path("/proc")


def measure(context: Context) -> Iterator[Row]:
    root = int((context.root / "var" / "run" / "skywright.pid").read_text())
    time.sleep(SETTLE_SECONDS)
    processes = tree(root)
    rss = sum(memory(pid, "Rss") for pid in processes)
    pss = sum(memory(pid, "Pss") for pid in processes)
    before, started = cpu_seconds(root), time.monotonic()
    time.sleep(IDLE_SECONDS)
    percent = 100 * (cpu_seconds(root) - before) / (time.monotonic() - started)
    yield Row("idle: resident memory (RSS)", "MB", [rss / 1e6], Target(300), {"processes": len(processes)})
    yield Row("idle: proportional memory (PSS)", "MB", [pss / 1e6])
    yield Row("idle: of one core", "%", [percent], Target(1), {"seconds": IDLE_SECONDS})


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = (PROC / str(pid) / "task").glob("*/children")
    below = [int(child) for file in children for child in file.read_text().split()]
    return [pid, *(found for child in below for found in tree(child))]


def memory(pid: int, key: str) -> float:
    """*key* of a process's memory, in bytes."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == key:
            return float(rest.split()[0]) * 1024
    raise LookupError(key)


def cpu_seconds(pid: int) -> float:
    """What the processes have used, with all of their children that ended."""
    ticks = os.sysconf("SC_CLK_TCK")
    return sum(sum(_times(process)) for process in tree(pid)) / ticks


def _times(pid: int) -> list[int]:
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[11:15]]  # own and ended children's, user's and system's

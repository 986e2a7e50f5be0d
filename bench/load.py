"""Latency of sequential requests, and throughput of several clients."""

import threading
import time
from collections.abc import Callable, Iterator

from bench.stats import Row

WARM_UP = 10
REPEATS = 50
CLIENTS = 4
SECONDS = 5.0


def latency_and_throughput(name: str, request: Callable[[], object], repeats: int = REPEATS) -> Iterator[Row]:
    """Yield the rows for the latency and the throughput of *request*."""
    yield Row(f"{name}: latency", "s", latencies(request, repeats))
    yield Row(f"{name}: throughput of {CLIENTS} clients", "/s", [throughput(request)])


def latencies(request: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Return the seconds of each of *repeats* requests, after a warm-up."""
    for _ in range(WARM_UP):
        request()
    return [_timed(request) for _ in range(repeats)]


def throughput(request: Callable[[], object]) -> float:
    """Return the requests per second of several clients."""
    counts: list[int] = []
    failures: list[Exception] = []
    end = time.monotonic() + SECONDS

    def client() -> None:
        count = 0
        try:
            while time.monotonic() < end:
                request()
                count += 1
        except Exception as error:
            failures.append(error)
        counts.append(count)

    started = time.monotonic()
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.monotonic() - started)


def _timed(request: Callable[[], object]) -> float:
    started = time.perf_counter()
    request()
    return time.perf_counter() - started

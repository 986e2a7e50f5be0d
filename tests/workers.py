"""A worker in the process of the tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from skywright.core import Core
from skywright.jobs.worker import Worker


@contextmanager
def working(core: Core) -> Iterator[None]:
    """Run a worker within the block."""
    worker = Worker(core)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()

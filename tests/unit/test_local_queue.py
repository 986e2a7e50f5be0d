"""The queue of one machine: workers and followers are notified, and dead ones are ignored."""

import threading
from pathlib import Path

from skywright.queue.local import LocalQueue


def test_workers_are_notified_of_jobs_and_followers_of_changes(tmp_path: Path) -> None:
    worker, api = LocalQueue(tmp_path), LocalQueue(tmp_path)
    heard = threading.Event()
    api.subscribe(heard.set)
    assert not worker.wait(0)
    api.notify()
    assert worker.wait(1) and not heard.is_set()
    worker.notify_followers()
    assert heard.wait(1) and not worker.wait(0.1)
    worker.wake()
    assert worker.wait(1)
    worker.close()


def test_sockets_of_dead_processes_are_removed(tmp_path: Path) -> None:
    worker = LocalQueue(tmp_path)
    worker.wait(0)
    (path,) = tmp_path.iterdir()
    assert worker._receiver is not None
    worker._receiver.close()
    LocalQueue(tmp_path).notify()
    assert not path.exists()

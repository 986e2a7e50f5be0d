"""The cloud for the tests of all commands and calls."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from contract.compute_helpers import add_hosts, add_image, run_jobs
from contract.conftest import Api, make_api
from skywright.auth import passwords
from skywright.db.jobs import Job


@contextmanager
def running_cloud(state: Path) -> Iterator[Api]:
    """Run a cloud with two hosts and an image, whose queued jobs soon succeed."""
    state.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "ROUNDS", 4)  # hashing takes a third of a second by design
        for api in make_api(state):
            add_hosts(api.cloud, "host1", "host2")
            add_image(api.cloud)
            stop = threading.Event()
            worker = threading.Thread(target=_work, args=(api, stop))
            worker.start()
            try:
                yield api
            finally:
                stop.set()
                worker.join()


def _work(api: Api, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        run_jobs(api.cloud, output="login: \n")


def settle(api: Api) -> None:
    """Wait until all jobs have ended."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        with api.cloud.database.read() as session:
            if session.scalar(select(Job.id).where(Job.finished_at.is_(None)).limit(1)) is None:
                return
        time.sleep(0.005)
    raise AssertionError("a job does not end")

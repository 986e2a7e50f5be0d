"""When the disk monitor desyncs a database node, and when it ends the desync."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/galera/templates/disk.py.j2"
GOOD, BAD = 0.004, 0.5


@pytest.fixture
def program() -> SimpleNamespace:
    names: dict[str, Any] = {"__name__": "disk"}
    exec(PROGRAM.read_text().replace("{{ ansible_managed | comment }}", ""), names)
    return SimpleNamespace(**names, globals=names)


@pytest.fixture
def decide(program: SimpleNamespace) -> Callable[..., bool]:
    decide: Callable[..., bool] = program.Policy().decide
    return decide


def test_a_slow_node_is_desynced_until_its_disk_was_fast_for_long(decide: Callable[..., bool]) -> None:
    assert not decide(GOOD, [GOOD, GOOD], 0)
    assert decide(BAD, [GOOD, GOOD], 1)
    assert decide(GOOD, [GOOD, GOOD], 20)
    assert decide(BAD, [GOOD, GOOD], 25)
    assert decide(GOOD, [GOOD, GOOD], 50)
    assert not decide(GOOD, [GOOD, GOOD], 60)


def test_a_node_that_is_not_much_slower_than_the_others_stays_synced(decide: Callable[..., bool]) -> None:
    assert not decide(BAD, [GOOD, BAD / 2], 0)
    assert not decide(5 * GOOD, [GOOD / 2, GOOD / 2], 1)


def test_a_node_stays_synced_without_other_healthy_nodes(decide: Callable[..., bool]) -> None:
    assert not decide(BAD, [], 0)
    assert not decide(BAD, [GOOD, None], 1)
    assert decide(BAD, [GOOD, GOOD], 2)
    assert not decide(BAD, [None, GOOD], 3)


def test_a_pending_write_counts(program: SimpleNamespace, tmp_path: Path) -> None:
    goes_on, syncs = threading.Event(), []

    def fdatasync(number: int) -> None:
        syncs.append(number)
        assert goes_on.wait(20)

    program.globals["os"] = SimpleNamespace(pwrite=lambda *_: 0, fdatasync=fdatasync)
    program.globals["STUCK_SECONDS"], program.globals["PAUSE"] = 0.1, 0
    disk = program.Disk(tmp_path)
    assert disk.seconds() == 0
    disk.start()
    deadline = time.monotonic() + 10
    while disk.seconds() <= 0.1:
        assert time.monotonic() < deadline
    goes_on.set()
    while disk.seconds() > 0.01:
        assert time.monotonic() < deadline
    assert len(syncs) > 1
    assert list(tmp_path.iterdir()) == []

"""Hosts that are not there."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugins.conftest import _locks_of_this_test, programs, run_module

from kinds.fake_host import FakeHost

__all__ = ["_locks_of_this_test", "programs", "run_module"]


@pytest.fixture
def new_host(
    tmp_path: Path, programs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[type[FakeHost]], FakeHost]:
    """Give a function that makes an empty host of a description; the one made last is the one that kinds see."""
    numbers = itertools.count()
    return lambda description: description(tmp_path / f"host{next(numbers)}", programs, monkeypatch)

"""A cloud of one host of fakes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from plugins.conftest import _locks_of_this_test, programs

from contract.compute_helpers import add_hosts
from contract.conftest import Api, admin, make_api
from resources.life import Story
from resources.machine import NAME, Machine

__all__ = ["_locks_of_this_test", "admin", "programs"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An API of the test's own: the host of another test has other things."""
    for api in make_api(tmp_path / "state"):
        add_hosts(api.cloud, NAME)
        yield api


@pytest.fixture
def machine(tmp_path: Path, programs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / NAME, programs, monkeypatch)


@pytest.fixture
def story(api: Api, admin: Connection, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setattr(api.cloud, "planner", machine)
    return Story(api, admin, machine)

"""The launcher of plans: how long it lives, and the answer if Ansible cannot run."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from contract.compute_helpers import Fixtures
from contract.conftest import Api
from contract.plan_helpers import Plans, admin_plan, fixtures, plan
from processes import launchers
from skywright.jobs.runs import planner
from skywright.jobs.runs.launcher_client import LauncherError

__all__ = ["admin_plan", "fixtures", "plan"]


def test_an_idle_launcher_ends(
    api: Api, admin_plan: Plans, fixtures: Fixtures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "IDLE_SECONDS", 2.0)  # time to see that it is there
    api.cloud.planner.close()
    others = launchers()
    for _ in range(2):
        assert admin_plan("compute", "POST", "/v2.1/servers", fixtures.body("web"))["changed"] == 1
        assert launchers() > others
        limit = time.monotonic() + 20
        while launchers() != others:
            assert time.monotonic() < limit
            time.sleep(0.05)


def test_a_launcher_in_use_does_not_end(admin_plan: Plans, fixtures: Fixtures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "IDLE_SECONDS", 0.0)

    def work(_number: int) -> tuple[int, bool]:
        found = admin_plan("compute", "POST", "/v2.1/servers", fixtures.body("web"))
        return found["changed"], found["complete"]

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(work, range(6))) == {(1, True)}


def test_the_reason_is_reported_if_ansible_cannot_run(
    api: Api, plan: Plans, fixtures: Fixtures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_draft: Any) -> None:
        raise LauncherError("Ansible cannot be started")

    monkeypatch.setattr(api.cloud.planner, "run", broken)
    answer = plan.ask("compute", "POST", "/v2.1/servers", fixtures.body("planned"))
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "Ansible cannot be started"

"""Retention: what is removed and when; counters keep their values."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jobs_fake
import pytest
from sqlalchemy import func, select

from skywright.auth.tokens import EXPIRED_WINDOW
from skywright.cloud import Cloud
from skywright.db import utcnow
from skywright.db.identity import RevokedToken
from skywright.db.jobs import Event, Job, Run
from skywright.db.operations import Audit, Heartbeat
from skywright.jobs.runs import records
from skywright.jobs.runs.rundir import RunDirectory
from skywright.jobs.upkeep import retention
from skywright.jobs.upkeep.housekeeping import Housekeeping
from skywright.metrics import Metrics

NOW = utcnow()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = jobs_fake.make_cloud(tmp_path)
    limits = {"keep_runs_days": 30, "keep_runs": 5, "keep_events_days": 14, "keep_events": 10}
    cloud.settings = cloud.settings.model_copy(update={**limits, "keep_audit_days": 90, "keep_audit": 20})
    yield cloud


def add(cloud: Cloud, *rows: Any) -> None:
    with cloud.database.write() as session:
        session.add_all(rows)


def run(days: float, events: int = 0, **values: Any) -> Run:
    """Add a run that began so many days ago and took two seconds."""
    started = NOW - timedelta(days=days)
    row = Run(id=f"run-{days}", playbook="server", worker="w", state="successful", started_at=started, events=events)
    row.finished_at = started + timedelta(seconds=2)
    for name, value in values.items():
        setattr(row, name, value)
    return row


def events(days: float, count: int) -> list[Event]:
    return [Event(run_id=f"run-{days}", counter=number, kind="x") for number in range(count)]


def job(days: float, **values: Any) -> Job:
    row = Job(
        playbook="server", action="create", state="successful", created_at=NOW - timedelta(days=days), user_id="u"
    )
    for name, value in values.items():
        setattr(row, name, value)
    return row


def record(days: float, **values: Any) -> Audit:
    given = {"request_id": "r", "service": "compute", "method": "POST", "path": "/", "status": 200, "user_id": "u"}
    return Audit(at=NOW - timedelta(days=days), **(given | values))


def left(cloud: Cloud, column: Any) -> list[Any]:
    with cloud.database.read() as session:
        return list(session.scalars(select(column).order_by(column)))


def test_old_runs_are_removed_with_their_events_and_jobs_are_kept(cloud: Cloud) -> None:
    add(cloud, run(31, 3), run(29, 2))
    add(cloud, *events(31, 3), job(31, run_id="run-31"), job(29, run_id="run-29"))
    retention.sweep(cloud, NOW)
    assert left(cloud, Run.id) == ["run-29"]
    assert left(cloud, Event.run_id) == []
    assert left(cloud, Job.run_id) == [None, "run-29"]


def test_the_number_of_runs_is_limited_without_running_ones(cloud: Cloud) -> None:
    add(cloud, run(9, state="running"), *(run(day) for day in range(1, 8)))
    retention.sweep(cloud, NOW)
    assert left(cloud, Run.id) == ["run-1", "run-2", "run-3", "run-4", "run-5", "run-9"]


def test_events_are_removed_by_age_and_by_number_oldest_runs_first(cloud: Cloud) -> None:
    add(cloud, run(15, 1), run(3, 6), run(2, 6), run(1, 4))
    add(cloud, *events(15, 1), *events(3, 6), *events(2, 6), *events(1, 4))
    retention.sweep(cloud, NOW)
    assert set(left(cloud, Event.run_id)) == {"run-2", "run-1"}
    assert len(left(cloud, Run.id)) == 4


def test_the_trail_is_removed_by_age_and_number(cloud: Cloud) -> None:
    add(cloud, record(91), *(record(1) for _ in range(25)))
    retention.sweep(cloud, NOW)
    assert len(left(cloud, Audit.sequence)) == 20
    assert left(cloud, Audit.sequence)[-1] == 26


def test_requests_without_a_token_do_not_displace_those_of_users(cloud: Cloud) -> None:
    add(cloud, *(record(1) for _ in range(5)))
    add(cloud, *(record(0, user_id=None, status=401) for _ in range(15)))
    retention.sweep(cloud, NOW)
    by_user = select(Audit.user_id, func.count()).group_by(Audit.user_id)
    with cloud.database.read() as session:
        counts = dict(session.execute(by_user).all())  # type: ignore[arg-type]
    assert counts == {"u": 5, None: 2}


def test_jobs_are_kept_like_the_trail_except_observations(cloud: Cloud) -> None:
    observer = {"playbook": "host", "user_id": None}
    add(cloud, run(1), run(0.01))
    add(cloud, job(91), job(91, state="queued"), job(89), job(0.01, id="new", run_id="run-0.01", **observer))
    add(cloud, job(1, id="seen", run_id="run-1", **observer))
    retention.sweep(cloud, NOW)
    with cloud.database.read() as session:
        rows = [tuple(row) for row in session.execute(select(Job.playbook, Job.state).order_by(Job.sequence))]
    assert rows == [("server", "queued"), ("server", "successful"), ("host", "successful")]
    assert left(cloud, Run.id) == ["run-0.01"]


def test_old_revocations_and_dead_workers_are_removed(cloud: Cloud) -> None:
    """A service may validate an expired token, so its revocation is kept as long."""
    for expires_at, name in ((NOW - EXPIRED_WINDOW, "kept"), (NOW - EXPIRED_WINDOW - timedelta(seconds=1), "old")):
        add(cloud, RevokedToken(audit_id=name, expires_at=expires_at))
    add(cloud, Heartbeat(worker="dead", seen_at=NOW - timedelta(hours=2)), Heartbeat(worker="alive", seen_at=NOW))
    retention.sweep(cloud, NOW)
    assert left(cloud, RevokedToken.audit_id) == ["kept"]
    assert left(cloud, Heartbeat.worker) == ["alive"]


def test_counters_keep_their_values(cloud: Cloud) -> None:
    def counters() -> list[str]:
        text = Metrics(cloud).text().decode().splitlines()
        return [
            line for line in text if line.split("{")[0].split(" ")[0].endswith(("_total", "_sum", "_count", "_bucket"))
        ]

    add(cloud, run(31, 3, failures={"h": 2}), run(32, 4, failures={"h": 1, "i": 1}), run(1, 5), job(91), job(1))
    before = counters()
    assert retention.sweep(cloud, NOW) == 3
    assert retention.sweep(cloud, NOW) == 0
    assert counters() == before
    assert 'skywright_host_failures_total{host="h"} 3.0' in before


def test_many_rows_are_removed_in_batches(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    add(cloud, *(record(100) for _ in range(7)))
    assert [retention.sweep(cloud, NOW) for _ in range(4)] == [3, 3, 1, 0]


def left_run(cloud: Cloud, name: str, *, locked: bool = True, hours: float = 0) -> Path:
    """Make the directory of a run whose worker died so many hours ago; return its file with variables."""
    path = cloud.settings.run_dir / name
    (path / "env").mkdir(parents=True)
    (path / "env" / "extravars").write_text("secret")
    (path / "record.json").write_text("{}")
    if locked:
        (path / "lock").touch()
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))
    return path / "env" / "extravars"


def test_files_of_ended_runs_are_removed_at_once_and_records_stay(cloud: Cloud) -> None:
    add(cloud, run(1), run(2, state="running"), run(3))
    files = left_run(cloud, "run-1")
    running = left_run(cloud, "run-2")
    Housekeeping(cloud, "new").run_due(0)
    assert [path.name for path in files.parents[1].iterdir()] == ["record.json"]
    assert running.exists(), "recovery decides"
    with RunDirectory(cloud.settings.run_dir, "run-3") as directory:
        held = directory.write("env/extravars", "secret")
        records.clean_up(cloud)
        assert held.exists()


def test_unknown_runs_are_removed_after_an_hour_with_their_records(cloud: Cloud) -> None:
    new, old = left_run(cloud, "new", hours=0.9), left_run(cloud, "old", locked=False, hours=1.1)
    add(cloud, run(2, state="running"))
    running = left_run(cloud, "run-2", hours=1.1)
    with RunDirectory(cloud.settings.run_dir, "alive") as directory:
        os.utime(directory.path, (0, 0))
        retention.sweep(cloud, NOW)
        assert directory.path.exists()
    assert new.exists() and not old.parents[1].exists()
    assert [path.name for path in running.parents[1].iterdir()] == ["record.json"]

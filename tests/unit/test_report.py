"""The outcome of a run is stored once, although answers to commits are lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jobs_fake
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.cloud import Cloud
from skywright.db import DatabaseUnavailable, new_uuid
from skywright.db.jobs import Event, Job, Run
from skywright.jobs.engine.claim import claim
from skywright.jobs.engine.report import PersistentWriter, Report
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.selection import Selection


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = jobs_fake.make_cloud(tmp_path)
    yield cloud
    cloud.database.engine.dispose()


@pytest.fixture
def job_id(cloud: Cloud) -> str:
    return jobs_fake.submit(cloud, "a")


@pytest.fixture
def report(cloud: Cloud, job_id: str) -> Report:
    with cloud.database.write() as session:
        claimed = claim(session, cloud, "w", new_uuid(), Selection())
    assert claimed is not None
    return Report(PersistentWriter(cloud, lambda: False), claimed)


def lose_answers(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, *, took_place: bool) -> None:
    """Lose the answer to the next commit."""
    write = cloud.database.write

    @contextmanager
    def lost(timeout: float = 0) -> Iterator[Session]:
        monkeypatch.setattr(cloud.database, "write", write)
        with write() as session:
            yield session
            if not took_place:
                session.rollback()
        raise DatabaseUnavailable(uncertain=True)

    monkeypatch.setattr(cloud.database, "write", lost)


def task(number: int) -> dict[str, Any]:
    return {"event": "playbook_on_task_start", "event_data": {"task": f"Task {number}"}}


def ended(job_id: str) -> Results:
    results = Results()
    result = {"results": [{"id": job_id, "changed": True}]}
    results.add({"event": "runner_on_ok", "event_data": {"host": "here", "task_action": "write_files", "res": result}})
    results.add({"event": "playbook_on_stats", "event_data": {}})
    results.rc = 0
    return results


@pytest.mark.parametrize("took_place", [True, False])
def test_events_and_outcomes_are_stored_once(
    cloud: Cloud, job_id: str, report: Report, monkeypatch: pytest.MonkeyPatch, took_place: bool
) -> None:
    report.add([task(1), task(2)])
    lose_answers(cloud, monkeypatch, took_place=took_place)
    report.store()
    report.add([task(3)])
    report.store()
    report.add([task(4)])
    lose_answers(cloud, monkeypatch, took_place=took_place)
    report.settle(ended(job_id))
    with cloud.database.read() as session:
        tasks = session.scalars(select(Event.task).order_by(Event.counter)).all()
        run = session.scalars(select(Run)).one()
    assert tasks == ["Task 1", "Task 2", "Task 3", "Task 4"]
    assert (run.state, run.steps_done, run.events) == ("successful", 4, 4)
    assert jobs_fake.job(cloud, job_id).state == "successful"


def test_a_claim_with_an_unknown_result_is_released(cloud: Cloud, job_id: str) -> None:
    run_id = new_uuid()
    with cloud.database.write() as session:
        assert claim(session, cloud, "w", run_id, Selection()) is not None
    persistence = PersistentWriter(cloud, lambda: False)
    persistence.release(run_id)
    persistence.release(new_uuid())
    with cloud.database.read() as session:
        job = session.scalars(select(Job)).one()
        assert (job.state, session.get_one(Run, run_id).state) == ("queued", "error")


def test_a_run_whose_jobs_were_taken_over_stores_nothing(cloud: Cloud, job_id: str, report: Report) -> None:
    with cloud.database.write() as session:
        session.scalars(select(Run)).one().state = "error"
    report.add([task(1)])
    report.settle(ended(job_id))
    assert jobs_fake.job(cloud, job_id).state == "running"
    with cloud.database.read() as session:
        assert not session.scalars(select(Event)).all()
        assert session.scalars(select(Run)).one().state == "error"


def test_jobs_end_with_their_items_and_the_last_one_with_the_run(cloud: Cloud) -> None:
    good, bad, last = (jobs_fake.submit(cloud, name) for name in "abc")
    with cloud.database.write() as session:
        claimed = claim(session, cloud, "w", new_uuid(), Selection())
    assert claimed is not None and set(claimed.attempts) == {good, bad, last}
    report = Report(PersistentWriter(cloud, lambda: False), claimed)

    def add_early_results(job_id: str, **more: Any) -> list[str]:
        report.add_early_results([("here", {"id": job_id, "kind": "files", "changed": True, "final": True, **more})])
        return [jobs_fake.job(cloud, each).state for each in (good, bad, last)]

    assert add_early_results(good, final=False) == ["running", "running", "running"], (
        "another kind has the item before it"
    )
    assert add_early_results(good) == ["successful", "running", "running"]
    assert add_early_results(bad, error="no space left") == ["successful", "running", "running"]
    assert add_early_results(last) == ["successful", "running", "successful"]
    assert (cloud.settings.root / "settled").read_text().split() == [good, "True", last, "True"]


def test_a_run_has_a_running_job_until_it_ends(cloud: Cloud, job_id: str, report: Report) -> None:
    report.add_early_results([("here", {"id": job_id, "kind": "files", "changed": True, "final": True})])
    assert jobs_fake.job(cloud, job_id).state == "running"
    report.settle(ended(job_id))
    assert jobs_fake.job(cloud, job_id).state == "successful"

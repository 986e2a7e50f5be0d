"""Which jobs the next run has."""

from datetime import timedelta

import jobs_fake
import pytest
from claim_helpers import ask, cloud, next_run, take
from sqlalchemy import event

from skywright.cloud import Cloud
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Job, JobResource
from skywright.jobs.engine.selection import ALONE_AFTER, BATCH, Selection, choose

__all__ = ["cloud"]


def test_projects_take_turns_in_a_run(cloud: Cloud) -> None:
    for number in range(2 * BATCH):
        ask(cloud, "many", f"many-{number}")
    few = [ask(cloud, "few", f"few-{number}") for number in range(2)]
    nobody = ask(cloud, None, "nobody")
    run = next_run(cloud, Selection())
    assert len(run) == BATCH and {*few, nobody} <= set(run)


def test_a_project_without_a_place_in_a_run_is_in_the_next_one(cloud: Cloud) -> None:
    for number in range(BATCH):
        for _ in range(3):
            ask(cloud, f"project-{number}", new_uuid())
    late = ask(cloud, "late", "late")
    selection = Selection()
    assert late not in next_run(cloud, selection)
    assert late in next_run(cloud, selection)


class Other(jobs_fake.FakeKind):
    name = playbook = "other"


def test_playbooks_take_turns_for_runs(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "kinds", {**cloud.kinds, "other": Other()})
    selection = Selection()
    for number in range(3 * BATCH):
        ask(cloud, "many", f"many-{number}")
    next_run(cloud, selection)
    other = ask(cloud, "few", "few", playbook="other")
    assert next_run(cloud, selection) == [other]
    assert len(next_run(cloud, selection)) == BATCH


def test_waiting_jobs_do_not_hide_jobs_that_may_run(cloud: Cloud) -> None:
    later = utcnow() + timedelta(hours=1)
    with cloud.database.write() as session:
        for number in range(1500):
            job = Job(playbook="fake", action="write", project_id="many", not_before=later)
            job.resources = [JobResource(resource_type="file", resource_id="one" if number % 2 else f"held-{number}")]
            session.add(job)
    mine = ask(cloud, "few", "few")
    assert next_run(cloud, Selection()) == [mine]


def test_priorities_apply_to_the_jobs_that_a_job_waits_for(cloud: Cloud) -> None:
    for number in range(BATCH):
        ask(cloud, None, f"usual-{number}")
    first, second = ask(cloud, None, "a"), ask(cloud, None, "a", "b")
    urgent = ask(cloud, None, "b", priority=5)
    selection = Selection()
    assert next_run(cloud, selection)[0] == first
    assert next_run(cloud, selection)[0] == second
    assert next_run(cloud, selection) == [urgent]


def test_forcing_applies_to_the_jobs_that_a_job_waits_for(cloud: Cloud) -> None:
    later = utcnow() + timedelta(hours=1)
    held = ask(cloud, None, "a", not_before=later, held_by="gone")
    retried = ask(cloud, None, "b", not_before=later)
    assert take(cloud) is None
    forced = ask(cloud, None, "a", "b", forced=True)
    selection = Selection()
    assert next_run(cloud, selection) == [held] and jobs_fake.job(cloud, held).forced
    assert take(cloud) is None, "the pause before another attempt holds for all"
    assert {jobs_fake.job(cloud, job_id).state for job_id in (retried, forced)} == {"queued"}


def test_a_job_with_several_lost_attempts_runs_alone(cloud: Cloud) -> None:
    suspect, usual = ask(cloud, None, "a", attempts=ALONE_AFTER), ask(cloud, None, "b")
    selection = Selection()
    assert next_run(cloud, selection) == [suspect]
    assert next_run(cloud, selection) == [usual]


@pytest.mark.parametrize("number", [BATCH, 20 * BATCH])
def test_selecting_takes_few_statements_for_any_number_of_jobs(cloud: Cloud, number: int) -> None:
    with cloud.database.write() as session:
        for place in range(number):
            job = Job(playbook="fake", action="write", project_id=f"p{place % 7}", waiting_for="a free worker")
            job.resources = [JobResource(resource_type="file", resource_id=str(place))]
            session.add(job)
    statements: list[str] = []
    with cloud.database.write() as session:
        event.listen(cloud.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
        assert len(choose(session, cloud, Selection())) == BATCH
    # BEGIN; the unfinished jobs, their resources, the waiting ones; the chosen ones, their resources.
    assert len(statements) == 6

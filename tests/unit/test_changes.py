"""Numbers of changes are unique and grow in the order of commits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from databases import make_tables
from skywright.cloud import Cloud
from skywright.db import changes
from skywright.db.changes import latest, touch
from skywright.db.jobs import Event, Job, Run
from skywright.settings import Settings


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(Settings(state_dir=tmp_path))
    make_tables(cloud.database)
    with cloud.database.write() as session:
        session.add_all(Job(playbook="server", action=str(number)) for number in range(3))
    yield cloud
    cloud.database.engine.dispose()


def numbers(cloud: Cloud) -> dict[str, int]:
    with cloud.database.read() as session:
        return {job.action: job.change for job in session.query(Job)}


def number(cloud: Cloud) -> int:
    with cloud.database.read() as session:
        return latest(session)


def test_a_change_gets_a_higher_number_than_all_before(cloud: Cloud) -> None:
    before, seen = numbers(cloud), number(cloud)
    assert len(set(before.values())) == 3
    assert max(before.values()) <= seen
    with cloud.database.write() as session:
        session.query(Job).filter_by(action="1").one().error = "x"
    after = numbers(cloud)
    assert (after["0"], after["2"]) == (before["0"], before["2"])
    assert seen < after["1"] <= number(cloud)


def test_each_row_of_a_bulk_update_gets_its_own_number(cloud: Cloud) -> None:
    before, seen = numbers(cloud), number(cloud)
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.action != "1", Job.state == "queued").values(waiting_for="x"))
    after = numbers(cloud)
    assert after["1"] == before["1"]
    assert seen < after["0"] < after["2"] <= number(cloud)
    with cloud.database.write() as session:
        session.execute(update(Job).where(Job.run_id.is_(None), Job.lease_until.is_(None)).values(lease_until=None))
        session.execute(update(Job).where(Job.action == "none").values(state="running"))
    assert numbers(cloud) == after


def test_a_rolled_back_change_uses_no_number(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        job = session.query(Job).filter_by(action="0").one()
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            job.error = "taken back"
            session.flush()
            raise ZeroDivisionError
        job.error = "kept"
    first = numbers(cloud)["0"]
    assert first <= number(cloud)
    with cloud.database.write() as session:
        session.query(Job).filter_by(action="1").one().error = "later"
    assert numbers(cloud)["1"] > number(cloud) - changes.BLOCK >= first


def test_events_of_a_transaction_are_numbered_before_its_jobs(cloud: Cloud) -> None:
    with cloud.database.write() as session:
        session.add(run := Run(playbook="server", worker="w"))
        session.flush()
        touch(session.query(Job).filter_by(action="0").one())
        session.add_all(Event(run_id=run.id, counter=counter, kind="k") for counter in range(3 * changes.BLOCK))
    with cloud.database.read() as session:
        event_numbers = [event.change for event in session.query(Event).order_by(Event.counter)]
    assert event_numbers == sorted(set(event_numbers))
    assert event_numbers[-1] < numbers(cloud)["0"] <= number(cloud)

"""The scheduler's choice of hosts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from databases import make_tables
from recorded_hosts import facts, observed
from skywright.db import Database, utcnow
from skywright.db.jobs import Host
from skywright.services.compute.scheduler import NoValidHost, Scheduler
from skywright.services.compute.tables import Server
from skywright.settings import Settings


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    make_tables(database)
    with database.write() as session:
        yield session
    database.engine.dispose()


def host(session: Session, name: str, **values: Any) -> Host:
    capacity = {"vcpus": 4, "memory_mib": 1000, "disk_gib": 10}
    known = capacity | {key: values.pop(key) for key in capacity.keys() & values.keys()}
    row = observed(name, recorded=facts(domains=[], **known), **values)
    session.add(row)
    session.flush()
    return row


def server(session: Session, *, vcpus: int = 1, ram: int = 100, disk: int = 1, **values: Any) -> Server:
    flavor = {"id": "1", "name": "f", "disk": disk}
    row = Server(
        project_id="p", user_id="u", name="s", flavor=flavor, vcpus=vcpus, ram_mib=ram, disk_gib=disk, **values
    )
    session.add(row)
    session.flush()
    return row


def place(session: Session, row: Server, **settings: Any) -> str:
    return Scheduler(session, Settings(**settings)).place(row)


def test_servers_of_a_batch_are_spread(session: Session) -> None:
    host(session, "a")
    host(session, "b")
    scheduler = Scheduler(session, Settings())
    assert [scheduler.place(server(session)) for _ in range(4)] == ["a", "b", "a", "b"]


def test_most_free_memory_wins_then_fewest_servers(session: Session) -> None:
    host(session, "a")
    host(session, "b", memory_mib=2000)
    assert place(session, server(session)) == "b"
    server(session, host="b", ram=900)
    assert place(session, server(session, ram=1)) == "a"
    host(session, "c", memory_mib=4000)
    host(session, "d", memory_mib=4100)
    server(session, host="d", ram=100)
    assert place(session, server(session, ram=1)) == "c"


def test_deleted_servers_use_nothing(session: Session) -> None:
    host(session, "a")
    server(session, host="a", ram=1000, deleted_at=utcnow())
    assert place(session, server(session, ram=1000)) == "a"


@pytest.mark.parametrize(
    ("values", "wish", "reason"),
    [
        ({"state": "disabled"}, {}, "enabled and up: 0"),
        ({"up": False}, {}, "enabled and up: 0"),
        ({"groups": ["networks"]}, {}, "0 compute hosts"),
        ({"vcpus": 0}, {}, "free vCPUs: 0"),
        ({}, {"ram": 1001}, "free memory: 0"),
        ({}, {"disk": 11}, "free disk: 0"),
        ({}, {"availability_zone": "east"}, "availability zone: 0"),
        ({}, {"wanted_host": "b"}, "requested host: 0"),
        ({}, {"architecture": "aarch64"}, "architecture: 0"),
    ],
)
def test_hosts_that_are_filtered_out(session: Session, values: Any, wish: Any, reason: str) -> None:
    host(session, "a", **values)
    row = server(session, **wish)
    with pytest.raises(NoValidHost, match=r"^No valid host was found\. ") as failure:
        place(session, row)
    assert reason in str(failure.value) and row.host is None


def test_zone_and_requested_host(session: Session) -> None:
    host(session, "a", memory_mib=9000)
    host(session, "b", variables={"skywright_availability_zone": "east"})
    assert place(session, server(session, availability_zone="east")) == "b"
    assert place(session, server(session, wanted_host="b")) == "b"
    assert place(session, server(session, availability_zone="nova")) == "a"


def test_an_architecture_and_hosts_without_a_known_one(session: Session) -> None:
    host(session, "a", memory_mib=9000)
    host(session, "null", variables={"hypervisor_libvirt_uri": "test:///default"})
    assert place(session, server(session, architecture="x86_64")) == "a"
    assert place(session, server(session, architecture="aarch64")) == "null"


def test_overcommit_of_the_settings_and_of_a_host(session: Session) -> None:
    host(session, "a")
    with pytest.raises(NoValidHost):
        place(session, server(session, vcpus=9), overcommit_vcpus=2)
    assert place(session, server(session, vcpus=8), overcommit_vcpus=2) == "a"
    assert place(session, server(session, ram=1500), overcommit_memory=2) == "a"
    host(session, "null", variables={"skywright_overcommit": {"memory": 100, "disk": 100}})
    assert place(session, server(session, ram=50000, disk=500)) == "null"

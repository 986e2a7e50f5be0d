"""Ids of segments: ranges of projects and shared ones, the settings' ranges."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from databases import make_tables
from skywright.db import Database
from skywright.services.network.segment_defaults import ranges_of, record
from skywright.services.network.segment_ids import free_id, without
from skywright.services.network.tables import Network, SegmentRange
from skywright.settings import Settings


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    make_tables(database)
    with database.write() as session:
        yield session
    database.engine.dispose()


def add_range(session: Session, first: int, last: int, project: str = "", **values: Any) -> None:
    kind = values.pop("network_type", "vxlan")
    session.add(SegmentRange(project_id=project, network_type=kind, minimum=first, maximum=last, **values))
    session.flush()


def ids(session: Session, count: int, project: str = "p", kind: str = "vxlan", physical: str = "") -> list[int | None]:
    """Give *count* new networks their ids."""
    found = []
    for _ in range(count):
        network = Network(project_id=project, type=kind, physical_network=physical)
        number = free_id(session, network)
        found.append(number)
        if number is not None:
            network.segmentation_id = number
            session.add(network)
            session.flush()
    return found


@pytest.mark.parametrize(
    ("ranges", "excluded", "left"),
    [
        ([(1, 9)], [], [(1, 9)]),
        ([(1, 9)], [(4, 6)], [(1, 3), (7, 9)]),
        ([(1, 9)], [(1, 3), (9, 20)], [(4, 8)]),
        ([(1, 9)], [(0, 10)], []),
        ([(1, 3), (7, 9)], [(3, 7)], [(1, 2), (8, 9)]),
        ([(1, 3)], [(4, 5)], [(1, 3)]),
    ],
)
def test_without(ranges: Any, excluded: Any, left: Any) -> None:
    assert without(ranges, excluded) == left


def test_all_ids_without_ranges(session: Session) -> None:
    (found,) = ids(session, 1)
    assert found is not None and 1 <= found < 1 << 24
    assert ids(session, 3, kind="vlan", physical="physnet1") == [1, 2, 3]


def test_a_range_is_used_to_its_last_id(session: Session) -> None:
    add_range(session, 100, 104)
    found = ids(session, 6)
    assert set(found) == {100, 101, 102, 103, 104, None} and found[-1] is None


def test_a_projects_ranges_come_first_and_others_do_not_get_them(session: Session) -> None:
    add_range(session, 100, 105)
    add_range(session, 102, 103, "p")
    add_range(session, 200, 200, "p")
    assert {*ids(session, 3)} == {102, 103, 200}
    assert {*ids(session, 2)} < {100, 101, 104, 105}
    others = ids(session, 3, "q")
    assert {*others[:2]} < {100, 101, 104, 105} and others[2] is None


def test_ranges_of_projects_are_reserved_in_all_ids(session: Session) -> None:
    add_range(session, 1, 2, "q", network_type="vlan", physical_network="physnet1")
    assert ids(session, 2, kind="vlan", physical="physnet1") == [3, 4]
    assert ids(session, 3, "q", kind="vlan", physical="physnet1") == [1, 2, 5]


def test_ranges_of_other_types_and_physical_networks_do_not_count(session: Session) -> None:
    add_range(session, 7, 7, network_type="gre")
    add_range(session, 50, 51, network_type="vlan", physical_network="physnet2")
    assert ids(session, 1, kind="vlan", physical="physnet1") == [1]
    assert ids(session, 3, kind="vlan", physical="physnet2") == [50, 51, None]
    assert ids(session, 2, kind="gre") == [7, None]


SETTINGS = {"vxlan_ranges": "1000:1999, 3000:3000", "vlan_ranges": "physnet1:100:199,physnet2:1:4094"}
KEYS = {
    ("vxlan", "", 1000, 1999),
    ("vxlan", "", 3000, 3000),
    ("vlan", "physnet1", 100, 199),
    ("vlan", "physnet2", 1, 4094),
}


def test_ranges_of_the_settings_are_records(session: Session) -> None:
    wanted = set(ranges_of(Settings(**SETTINGS)))
    assert wanted == KEYS
    add_range(session, 5, 6)
    record(session, wanted)
    session.flush()
    before = {row.id for row in session.scalars(select(SegmentRange).where(SegmentRange.is_default))}
    record(session, wanted)
    session.flush()
    assert {row.id for row in session.scalars(select(SegmentRange).where(SegmentRange.is_default))} == before
    record(session, {("gre", "", 1, 2)})
    session.flush()
    rows = session.scalars(select(SegmentRange).order_by(SegmentRange.minimum)).all()
    assert [(row.network_type, row.minimum, row.is_default) for row in rows] == [("gre", 1, True), ("vxlan", 5, False)]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"vxlan_ranges": "1"}, "'1' in the setting vxlan_ranges is no range"),
        ({"vxlan_ranges": "a:b"}, "'a:b' in the setting vxlan_ranges is no range"),
        ({"vxlan_ranges": "0:5"}, "0 is no id of a vxlan segment, which are 1 to 16777215"),
        ({"vxlan_ranges": "1:16777216"}, "16777216 is no id of a vxlan segment"),
        ({"vxlan_ranges": "1:65537"}, "a range has at most 65536 ids"),
        ({"gre_ranges": "5:4"}, "the end of the range is less than its start"),
        ({"vlan_ranges": "100:199"}, "'100:199' in the setting vlan_ranges is no range"),
        ({"vlan_ranges": ":100:199"}, "':100:199' in the setting vlan_ranges is no range"),
        ({"vlan_ranges": "physnet1:1:4095"}, "4095 is no id of a vlan segment"),
    ],
)
def test_settings_that_are_no_ranges(values: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        list(ranges_of(Settings(**values)))

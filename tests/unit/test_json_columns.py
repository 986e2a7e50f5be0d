"""JSON columns give back what was written, also text that is not UTF-8."""

from pathlib import Path
from typing import Any

import pytest

from skywright.db.database import Database
from skywright.db.jobs import Host
from skywright.db.migrate import upgrade


@pytest.mark.parametrize("value", ["Łódź \U0001f600", "bytes \udcff of a program", 1 << 80, 0.1, [None, True], {}])
def test_values_come_back(tmp_path: Path, value: Any) -> None:
    url = f"sqlite:///{tmp_path}/cloud.db"
    upgrade(url)
    database = Database(url)
    with database.write() as session:
        session.add(Host(name="host1", variables={"value": value}))
    with database.read() as session:
        assert session.get_one(Host, "host1").variables == {"value": value}
    database.engine.dispose()

"""The migrations lead to the tables as they are declared."""

import threading
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from skywright.db import Base, Database
from skywright.db.migrate import current, head, upgrade


def test_a_new_database_has_the_declared_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/not/yet/there/new.db"
    upgrade(url)
    database = Database(url)
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == [], "run `python -m skywright.revise WHAT CHANGED`"
    assert current(database) == head()
    database.engine.dispose()


def test_whoever_comes_second_waits_for_the_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    errors: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(url)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []

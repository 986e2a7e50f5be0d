"""New databases for tests: a migrated one is made once per process and copied."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import insert, select

from skywright.db import Base, Database, mariadb
from skywright.db.migrate import upgrade
from skywright.db.write_lock import WriteLock


def make_tables(database: Database) -> None:
    """Give *database* its tables, unless it has them.

    On MariaDB, where migrations take seconds, they are made as they are declared: `test_migrations` shows that both are
    the same.
    """
    if database.sqlite:
        path = Path(str(database.engine.url.database))
        if not path.exists():
            shutil.copyfile(_migrated(), path)
        return
    with database.engine.begin() as connection:
        mariadb.set_collation(connection)
        Base.metadata.create_all(connection)
        if connection.scalar(select(WriteLock.id)) is None:
            connection.execute(insert(WriteLock).values(id=1, number=0))


@functools.cache
def _migrated() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="skywright-tests-"))
    atexit.register(shutil.rmtree, directory)
    upgrade(f"sqlite:///{directory}/template.db")
    return directory / "template.db"

"""Bringing a database to the newest schema."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, make_url, text

from skywright.db import mariadb
from skywright.db.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

START_SECONDS = 60.0
SCRIPTS = Path(__file__).parent / "migrations"
VERSIONS = SCRIPTS / "versions"


def head() -> str:
    """The newest revision; revisions are numbered, and their files named after them."""
    return max(path.stem for path in VERSIONS.glob("[0-9]*.py")).split("_")[0]


def upgrade(url: str) -> None:
    """Bring the database to the newest revision; whoever comes second waits for the first."""
    database = Database(url)
    with database.read(START_SECONDS):  # the machine may be starting: the database, too
        pass
    # Looked at before the lock is asked for, too: making it stops all who write to a cluster for a moment.
    if _outdated(database):
        with _lock(url):
            if _outdated(database):
                from alembic import command  # noqa: PLC0415 - who has an up-to-date database must stay small

                command.upgrade(_config(url), "head")
    database.engine.dispose()


def _outdated(database: Database) -> bool:
    return current(database) != head()


def current(database: Database) -> str | None:
    """The database's revision; None if it has no tables."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return None if revision is None else str(revision)


def revise(message: str) -> None:
    """Write the revision that leads from the newest one to the tables as they are declared, all of them loaded."""
    from alembic import command  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/scratch.db"
        if any(VERSIONS.glob("[0-9]*.py")):
            upgrade(url)
            number = int(head()) + 1
        else:
            number = 1
        command.revision(_config(url), message, autogenerate=True, rev_id=f"{number:04}")


def _config(url: str) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["url"] = url
    return config


@contextmanager
def _lock(url: str) -> Iterator[None]:
    """One at a time: on this machine, or of all that share a MariaDB."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        with mariadb.migration_lock(parsed):
            yield
        return
    if parsed.database is None:
        yield
        return
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{parsed.database}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Migrations: bring a database to the newest Alembic revision."""

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
    """Return the newest revision. Revisions are numbered, and their files begin with the number."""
    return max(path.stem for path in VERSIONS.glob("[0-9]*.py")).split("_")[0]


def upgrade(url: str) -> None:
    """Migrate the database to the newest revision. A second process waits for the first."""
    database = Database(url)
    with database.read(START_SECONDS):  # after a boot, the database may be starting, too
        pass
    # Checked before the lock, too: taking the lock stops all writers of a cluster for a moment.
    if _is_outdated(database):
        with _lock(url):
            if _is_outdated(database):
                from alembic import command  # noqa: PLC0415 - not loaded if there is nothing to do

                command.upgrade(_config(url), "head")
    database.engine.dispose()


def _is_outdated(database: Database) -> bool:
    return current(database) != head()


def current(database: Database) -> str | None:
    """Return the revision of the database, or None if it has no tables."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return None if revision is None else str(revision)


def revise(message: str) -> None:
    """Write a new revision: the difference between the newest revision and the declared tables, all of them loaded."""
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
    """Hold a lock against other migrations: on this machine, or of all clients of a MariaDB."""
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

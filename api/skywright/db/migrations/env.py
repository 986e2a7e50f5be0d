"""Alembic's environment: the tables of skywright.db; on SQLite in one transaction, MariaDB commits each statement."""

from alembic import context

from skywright.db import Base
from skywright.db.database import Database
from skywright.db.mariadb import MIGRATION_SECONDS

database = Database(context.config.attributes["url"], MIGRATION_SECONDS)
with database.engine.execution_options(write=database.sqlite).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transactional_ddl=database.sqlite,
    )
    with context.begin_transaction():
        context.run_migrations()
database.engine.dispose()

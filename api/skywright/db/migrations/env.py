"""Alembic's environment: the tables of skywright.db, in one transaction."""

from alembic import context

from skywright.db import Base, Database

database = Database(context.config.attributes["url"])
with database.engine.execution_options(write=True).connect() as connection:
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()
database.engine.dispose()

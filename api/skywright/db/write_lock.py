"""The row whose lock a writing transaction holds where the database does not let writers in one by one itself."""

from sqlalchemy import BigInteger, Connection, Integer, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base


class WriteLock(Base):
    """One row. `number` counts the writing transactions on MariaDB; SQLite has a lock of its own."""

    __tablename__ = "write_lock"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), default=0)


def make_lock_row(connection: Connection) -> None:
    """Add the row if it is not there."""
    if connection.scalar(select(WriteLock.id).where(WriteLock.id == 1)) is None:
        connection.execute(insert(WriteLock).values(id=1, number=0))

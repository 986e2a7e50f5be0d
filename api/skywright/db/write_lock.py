"""The row that write transactions lock in databases that allow concurrent writers."""

from sqlalchemy import BigInteger, Integer
from sqlalchemy.orm import Mapped, mapped_column

from skywright.db.base import Base


class WriteLock(Base):
    """One row. `number` counts the write transactions on MariaDB; SQLite has its own lock."""

    __tablename__ = "write_lock"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), default=0)

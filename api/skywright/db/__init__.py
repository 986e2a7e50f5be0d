"""The database: transactions, and what all tables share."""

from skywright.db.base import Base, after_commit, isoformat, new_hex, new_uuid, utcnow
from skywright.db.database import Database, DatabaseUnavailable

__all__ = ["Base", "Database", "DatabaseUnavailable", "after_commit", "isoformat", "new_hex", "new_uuid", "utcnow"]

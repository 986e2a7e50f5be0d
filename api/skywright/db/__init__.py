"""The database: the handle that opens transactions, and what all tables share."""

from skywright.db.base import Base, after_commit, isoformat, new_hex, new_uuid, utcnow
from skywright.db.database import Database, Outage

__all__ = ["Base", "Database", "Outage", "after_commit", "isoformat", "new_hex", "new_uuid", "utcnow"]

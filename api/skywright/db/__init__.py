"""The database: tables by service, and the handle that opens transactions."""

from skywright.db import compute, identity, image, jobs, network, operations
from skywright.db.base import Base, Database, after_commit, isoformat, new_hex, new_uuid, utcnow

__all__ = [
    "Base",
    "Database",
    "after_commit",
    "compute",
    "identity",
    "image",
    "isoformat",
    "jobs",
    "network",
    "new_hex",
    "new_uuid",
    "operations",
    "utcnow",
]

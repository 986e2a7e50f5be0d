"""The database: tables by service, and the handle that opens transactions."""

from skywright.db import compute, identity, image, jobs, network, operations, overcloud, schedules, webhooks
from skywright.db.base import Base, after_commit, isoformat, new_hex, new_uuid, utcnow
from skywright.db.database import Database, Outage

__all__ = [
    "Base",
    "Database",
    "Outage",
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
    "overcloud",
    "schedules",
    "utcnow",
    "webhooks",
]

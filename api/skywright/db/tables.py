"""Tables that do not belong to one service; `skywright.services.registry` lists those of services."""

from skywright.db import changes, identity, jobs, operations, overcloud, revision, schedules, webhooks, write_lock

__all__ = ["changes", "identity", "jobs", "operations", "overcloud", "revision", "schedules", "webhooks", "write_lock"]

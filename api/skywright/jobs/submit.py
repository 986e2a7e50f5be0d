"""Queueing jobs: in the transaction that changes the resource, so that neither exists without the other."""

from collections.abc import Iterable
from typing import Any

from skywright.db import after_commit
from skywright.db.jobs import Job, JobResource
from skywright.http.context import Context


def submit(
    context: Context,
    playbook: str,
    action: str,
    resources: Iterable[tuple[str, str]],
    arguments: dict[str, Any] | None = None,
) -> Job:
    """Queue a run of `playbooks/cloud/<playbook>.yml` that does *action* to *resources* [(type, id)]."""
    job = Job(
        playbook=playbook,
        action=action,
        arguments=arguments or {},
        project_id=context.who.project_id,
        user_id=context.who.user_id,
        request_id=context.request_id,
        resources=[JobResource(resource_type=kind, resource_id=key) for kind, key in resources],
    )
    context.db.add(job)
    after_commit(context.db, "notify workers", context.cloud.queue.notify)
    return job

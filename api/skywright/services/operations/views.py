"""Views of jobs, events and hosts. A run may have jobs of several projects: each project sees its own items only."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db import isoformat, utcnow
from skywright.db.jobs import Event, Host, Job, Run
from skywright.jobs.engine.events import TASK_START
from skywright.redact import HIDDEN, is_secret
from skywright.services.compute.internal import Usage


def job_views(session: Session, jobs: Sequence[Job], *, admin: bool) -> list[dict[str, Any]]:
    """Return the list view of *jobs*."""
    ids = {job.run_id for job in jobs if job.run_id}
    runs = {run.id: run for run in session.scalars(select(Run).where(Run.id.in_(ids)))}
    return [job_view(job, runs.get(job.run_id or ""), admin=admin) for job in jobs]


def job_view(job: Job, run: Run | None, *, admin: bool) -> dict[str, Any]:
    """Return the list view of *job*, whose run is *run*; streams use it, too."""
    waiting = job.state == "queued"
    view = {
        "id": job.id,
        "playbook": job.playbook,
        "action": job.action,
        "state": job.state,
        "error": job.error,
        "resources": [{"type": row.resource_type, "id": row.resource_id} for row in job.resources],
        "project_id": job.project_id,
        "user_id": job.user_id,
        "request_id": job.request_id,
        "attempts": job.attempts,
        "priority": job.priority,
        "waiting_for": _reason_to_wait(job) if waiting else None,
        "waiting_since": isoformat(job.waiting_since, micro=True) if waiting else None,
        "cancel_requested": job.cancel_requested_at is not None,
        "progress": {
            "done": run.steps_done if run else 0,
            "total": run.steps_total if run else 0,
            "task": run.task if run else None,
        },
        "created_at": isoformat(job.created_at, micro=True),
        "started_at": isoformat(job.started_at, micro=True),
        "finished_at": isoformat(job.finished_at, micro=True),
    }
    if admin:
        view |= {"run_id": job.run_id, "worker": job.worker, "hosts": sorted({host for host, _ in job.items})}
    return view


def _reason_to_wait(job: Job) -> str:
    if job.waiting_for is None and job.not_before is not None and job.not_before > utcnow():
        return f"retry at {isoformat(job.not_before)}"
    return job.waiting_for or "a free worker"


def result_views(job: Job, *, admin: bool) -> list[dict[str, Any]]:
    """Return the outcome of each item of the job; only administrators see hosts."""
    items: list[dict[str, Any]] = (job.result or {}).get("items", [])
    return items if admin else [{key: value for key, value in item.items() if key != "host"} for item in items]


def event_views(jobs: Iterable[Job], events: Iterable[Event], *, admin: bool) -> Iterator[dict[str, Any]]:
    """Return those of *events* that are about *jobs*. Administrators see all events of the run."""
    hosts = {host for job in jobs for host, _ in job.items}
    items = {item for job in jobs for _, item in job.items}
    for event in events:
        view = {
            "counter": event.counter,
            "kind": event.kind,
            "task": event.task,
            "at": isoformat(event.created_at, micro=True),
        }
        if admin:
            yield {**view, "host": event.host, **event.data}
        elif event.kind == TASK_START:
            yield view
        elif event.kind.startswith("runner_on") and event.host in hosts:
            mine = [item for item in event.data.get("items", []) if item["id"] in items]
            yield {**view, "seconds": event.data.get("seconds"), "items": mine}


def step_views(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the tasks of a run with their times; a task ends when the last host has answered."""
    steps: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.task is None:
            continue
        step = steps.get(event.task)
        if step is None:
            step = steps[event.task] = {"name": event.task, "state": "running", "finished_at": None}
            step["started_at"] = isoformat(event.created_at, micro=True)
        if event.kind.startswith("runner_on"):
            failed = event.kind != "runner_on_ok" or step["state"] == "failed"
            step |= {"state": "failed" if failed else "ok", "finished_at": isoformat(event.created_at, micro=True)}
    return list(steps.values())


def host_view(host: Host, used: Usage) -> dict[str, Any]:
    """Return a host, and the usage of its servers; passwords in its variables are hidden."""
    return {
        "name": host.name,
        "id": host.id,
        "groups": host.groups,
        "variables": {key: HIDDEN if is_secret(key) else value for key, value in host.variables.items()},
        "state": host.condition,
        "disabled_reason": host.disabled_reason,
        "up": host.up,
        "unreachable": host.unreachable,
        "failures": host.failures,
        "retry_at": isoformat(host.retry_at, micro=True),
        "quarantined_at": isoformat(host.quarantined_at, micro=True),
        "used": {
            "vcpus": used.vcpus,
            "memory_mib": used.ram_mib,
            "disk_gib": used.disk_gib,
            "servers": used.servers,
        },
        "vcpus": host.vcpus,
        "memory_mib": host.memory_mib,
        "disk_gib": host.disk_gib,
        "info": host.info,
        "observed_at": isoformat(host.observed_at, micro=True),
        "created_at": isoformat(host.created_at, micro=True),
    }

"""The events of a run in the database: short, in order, written in batches."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from skywright.db.base import utcnow
from skywright.db.changes import touch
from skywright.db.jobs import Event, Job, Run
from skywright.jobs.engine.results import failure_message, item_results

TASK_START = "playbook_on_task_start"
FAILURES = frozenset({"runner_on_failed", "runner_on_unreachable"})
KEPT = FAILURES | {TASK_START, "playbook_on_stats", "runner_on_ok", "error", "warning"}
# The keys of an item's result that users see. Logs, commands, diffs and other keys of a module are not shown.
ITEM_KEYS = ("id", "changed", "action", "status", "error")
TEXT_LIMIT = 1000
ITEMS_LIMIT = 200


def store(session: Session, run_id: str, events: list[dict[str, Any]]) -> None:
    """Append *events* of ansible-runner to the run, and count its steps."""
    kept = [event for event in events if event.get("event") in KEPT]
    if not kept:
        return
    last = session.scalar(select(func.max(Event.counter)).where(Event.run_id == run_id)) or 0
    rows = [_row(run_id, number, event) for number, event in enumerate(kept, last + 1)]
    session.add_all(rows)
    run = session.get_one(Run, run_id)
    begun = [row.task for row in rows if row.kind == TASK_START]
    run.steps_done += len(begun)
    run.task = begun[-1] if begun else run.task
    run.steps_total = max(run.steps_total, run.steps_done)
    run.events = (run.events or 0) + len(kept)
    failed = Counter(event["event_data"]["host"] for event in kept if _ends_host(event))
    if failed:
        run.failures = dict(Counter(run.failures or {}) + failed)
    for job in session.scalars(select(Job).where(Job.run_id == run_id, Job.state == "running")):
        touch(job)  # its progress changed


def brief(items: list[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """Return the results in *items*, each reduced to `ITEM_KEYS` and *keys*."""
    return [{key: _short(item[key]) for key in (*keys, *ITEM_KEYS) if key in item} for item in items[:ITEMS_LIMIT]]


def _ends_host(event: dict[str, Any]) -> bool:
    return event["event"] in FAILURES and not event["event_data"].get("ignore_errors")


def _row(run_id: str, counter: int, event: dict[str, Any]) -> Event:
    data = event.get("event_data") or {}
    return Event(
        run_id=run_id,
        counter=counter,
        kind=event["event"],
        host=data.get("host"),
        task=str(data["task"])[:255] if data.get("task") else None,
        data=dict(_summary(event, data)),
        created_at=_moment(event.get("created")),
    )


def _summary(event: dict[str, Any], data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    result = data.get("res") or {}
    if event["event"].startswith("runner_on"):
        yield "changed", bool(result.get("changed"))
        items = list(item_results(data, data.get("host", ""), result))
        if items:
            yield "items", brief(items)
    if event["event"] == TASK_START:
        yield "play", _short(data.get("play"))
    if event["event"] in FAILURES:
        yield "ignored", bool(data.get("ignore_errors"))
        yield "message", _short(result.get("msg") and failure_message(result))
    if event["event"] == "playbook_on_stats":
        yield from ((key, data.get(key) or {}) for key in ("ok", "changed", "failures", "dark", "skipped"))
    if event["event"] in ("error", "warning"):
        yield "message", _short(event.get("stdout"))
    if isinstance(data.get("duration"), int | float):
        yield "seconds", round(data["duration"], 3)


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:TEXT_LIMIT]


def _moment(created: str | None) -> datetime:
    """Return the event's own time. ansible-runner sends it in UTC."""
    if not created:
        return utcnow()
    return datetime.fromisoformat(created).replace(tzinfo=None)

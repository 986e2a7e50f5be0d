"""Views of plans. Administrators see hosts and differences; other users see the changes of their own resources."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from skywright.http.loopback import Answer
from skywright.jobs.engine.results import Results
from skywright.jobs.runs.draft import Draft, PlannedJob
from skywright.redact import without_secrets

Runs = Iterable[tuple[Draft, Results | None]]
Key = tuple[str, str]
SHOWN = ("id", "module", "action", "changed", "status", "error")


def answer_view(answer: Answer) -> dict[str, Any]:
    """Return *answer* without secrets: they are valid for nothing."""
    return {"status": answer.status, "body": without_secrets(orjson.loads(answer.content)) if answer.content else None}


def plan_view(answer: Answer, runs: Runs, *, recorded: bool, admin: bool) -> dict[str, Any]:
    """Return the response of a plan; `complete` means that the whole request would succeed, as far as hosts can
    predict.
    """
    jobs: list[dict[str, Any]] = []
    hosts: dict[str, list[dict[str, Any]]] = {}
    for draft, results in runs:
        jobs += [_job(job, results) for job in draft.jobs]
        for host, items in _hosts(draft, results, admin=admin):
            hosts.setdefault(host, []).extend(items)
    listed = [{"host": host if admin else None, "items": items} for host, items in sorted(hosts.items())]
    every = [item for items in hosts.values() for item in items]
    return {
        "request": answer_view(answer),
        "jobs": jobs,
        "hosts": listed,
        "changed": sum(item["changed"] for item in every),
        "recorded": recorded,
        "complete": answer.ok and not any(entry["error"] for entry in (*jobs, *every)),
    }


def _job(job: PlannedJob, results: Results | None) -> dict[str, Any]:
    error = job.refused
    if error is None and results is not None:
        error = results.outcome(job.depends).error
    return {
        "playbook": job.playbook,
        "action": job.action,
        "resources": [{"type": kind, "id": key} for kind, key in job.resources],
        "error": error,
        "waiting_for": job.waiting_for,
    }


def _hosts(draft: Draft, results: Results | None, *, admin: bool) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Return the changes of items, for each host that the caller may see."""
    own = {key for job in draft.jobs for key in job.depends}
    for host, kinds in draft.items.items():
        keys = [(kind, (host, item["id"])) for kind, items in kinds.items() for item in items]
        entries = [entry for kind, key in keys if admin or key in own for entry in _item(kind, key, results, admin)]
        if entries:
            yield host, entries


def _item(kind: str, key: Key, results: Results | None, admin: bool) -> Iterator[dict[str, Any]]:
    """Return the predicted changes of each module to an item, or the reason why there is no prediction."""
    outcome = results.outcome([key]) if results else None
    found = [result for result in outcome.results if result["module"] != "fail"] if outcome else []
    error = outcome.error if outcome and not found else None
    for result in found or [{"id": key[1], "module": None, "action": None, "changed": False, "error": error}]:
        entry = {"kind": kind.removesuffix("s"), **{name: result.get(name) for name in SHOWN}}
        if admin:
            entry["diff"] = without_secrets(result.get("diff"))
        yield entry

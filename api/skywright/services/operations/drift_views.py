"""Views of drift. Administrators see hosts and differences; other users see the state of their resources."""

from collections.abc import Iterable
from typing import Any

from skywright.jobs.drift.comparison import CHANGED, Drift
from skywright.jobs.drift.model import DRIFTED, LOST, UNKNOWN, Finding, Leftover
from skywright.jobs.engine.activity import Key
from skywright.redact import without_secrets


def drift_view(drift: Drift, item_kinds: Iterable[str], *, admin: bool) -> dict[str, Any]:
    """Return the report; *item_kinds* are those that were compared."""
    found: dict[Key, list[Finding]] = {}
    for finding in drift.found:
        found.setdefault(finding.key, []).append(finding)
    hosts = {name for name, _, _ in drift.wanted.hosts} - drift.not_checked.keys()
    checked: dict[str, set[str]] = {kind: set() for kind in item_kinds}
    for host, item_kind, item in drift.wanted.entries():
        if host in hosts:
            checked[item_kind].add(item["id"])
    return {
        "state": drift.state,
        "checked": {"hosts": len(hosts)} | {kind: len(ids) for kind, ids in checked.items()},
        "resources": [_resource(drift, key, group, admin=admin) for key, group in sorted(found.items())],
        "leftovers": [_leftover(one) for one in drift.leftovers],
        "left_out": [
            {**_name(drift, key), "reason": reason if admin else _plain(reason)}
            for key, reason in sorted(drift.left_out.items())
        ],
        "not_checked": [
            {"host": host if admin else None, "reason": reason if admin else "a host cannot be checked"}
            for host, reason in sorted(drift.not_checked.items())
        ],
    }


def _name(drift: Drift, key: Key) -> dict[str, Any]:
    resource = drift.resources[key]
    return {"type": key[0], "id": key[1], "name": resource.name, "project_id": resource.project_id}


def _resource(drift: Drift, key: Key, found: list[Finding], *, admin: bool) -> dict[str, Any]:
    states = {finding.state for finding in found}
    state = next(state for state in (LOST, DRIFTED, UNKNOWN) if state in states)
    return {**_name(drift, key), "state": state, "differences": [_difference(one, admin=admin) for one in found]}


def _difference(finding: Finding, *, admin: bool) -> dict[str, Any]:
    view = {"module": finding.module, "action": finding.action, "state": finding.state, "text": finding.text}
    if admin:
        view |= {"host": finding.host, "diff": without_secrets(finding.diff)}
    elif finding.state == UNKNOWN:
        view["text"] = "it cannot be checked"  # the reason is about a host
    return view


def _leftover(one: Leftover) -> dict[str, Any]:
    return {"host": one.host, "type": one.kind, "id": one.id, "text": ", ".join(one.texts), "data": one.data}


def _plain(reason: str) -> str:
    """Return the reason without the job, which may belong to another project."""
    return reason if reason == CHANGED or reason.startswith("it is in") else reason.partition(" (job ")[0]

"""Replay: a run is executed again from its record, with the secrets that the database has now.

What the run's jobs would send today is rendered in a transaction that is rolled back. This gives the secrets, and the
differences between then and now, which an operator must know before he sends an old state to hosts.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from skywright.core import Core, playbook_file
from skywright.db.dry_run import DryRunDatabase
from skywright.db.jobs import Host, Job
from skywright.jobs.runs import records, rundir
from skywright.jobs.runs.draft import draft
from skywright.jobs.runs.runner import inventory
from skywright.jobs.runs.variables import dump

DIRECTORY = "replay"
MISSING = object()


class ReplayError(Exception):
    """The run cannot be replayed; the message says why."""


@dataclass(frozen=True)
class Replay:
    """A run to be executed again."""

    run_id: str
    playbook: str
    inventory: dict[str, Any]
    variables: dict[str, Any]
    differences: list[str]  # between what was sent then and what the same jobs would send now
    missing: list[str]  # secrets that are not in the database any more
    check: bool  # whether the run used check mode


def prepare(core: Core, name: str) -> Replay:
    """Return the replay of the run *name*, or of the last run of the job *name*; *name* may be a prefix of the id."""
    run_id = find(core, name)
    record = records.load(core, run_id)
    if record is None:
        raise ReplayError(f"Run {run_id} has no record on this machine")
    items, variables, extra = _current_items(core, record)
    key = records.digest_key(core)
    differences = [
        *_versions(core, record),
        *_differences(record["items"], records.conceal(items, key)),
        *(
            f"{host}: its variables have changed"
            for host, _, old in record["hosts"]
            if records.conceal(variables.get(host), key) != old
        ),
    ]
    missing: list[str] = []
    hosts = [
        (host, groups, _restore_secrets(old, variables.get(host, {}), f"{host}", missing))
        for host, groups, old in record["hosts"]
    ]
    wanted = _restore_secrets(_by_id(record["items"]), _by_id(items), "", missing)
    sent = _restore_secrets(record.get("variables", {}), extra, "variable", missing)
    sent["skywright_items"] = _listed(wanted)
    # Runs of older versions have the name of their jobs' kind.
    playbook = core.playbook_of(record["playbook"]) if record["playbook"] in core.kinds else record["playbook"]
    return Replay(run_id, playbook, inventory(hosts), sent, differences, missing, record.get("check", False))


def find(core: Core, name: str) -> str:
    """Return the id of the run."""
    with core.database.read() as session:
        of_jobs = select(Job.run_id).where(Job.id.startswith(name, autoescape=True), Job.run_id.is_not(None))
        jobs = set(session.scalars(of_jobs))
    runs = {path.parent.name for path in core.settings.run_dir.glob(f"*/{rundir.RECORD}")}
    found = {run for run in runs if run.startswith(name)} | (jobs & runs)
    if len(found) != 1:
        raise ReplayError(f"{len(found) or 'No'} recorded runs are called {name}")
    return str(found.pop())


def write(core: Core, replay: Replay) -> Path:
    """Write the inventory and the variables, including secrets, readable for the owner only. Remove them after use."""
    path = core.settings.run_dir / replay.run_id / DIRECTORY
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    for name, data in (("hosts.yml", replay.inventory), ("variables.yml", replay.variables)):
        descriptor = os.open(path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(dump(data))
    return path


def command(replay: Replay, path: Path, *, check: bool) -> list[str]:
    """Return the command that executes it, in the project's directory."""
    mode = ["--check", "--diff"] if check or replay.check else []
    return [
        "ansible-playbook",
        playbook_file(replay.playbook),
        "-i",
        f"{path}/hosts.yml",
        "-e",
        f"@{path}/variables.yml",
        *mode,
    ]


def _current_items(core: Core, record: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the current items of the run's jobs, the variables of the hosts, and the variables of the run."""
    dry_run = DryRunDatabase(core.database)
    try:
        with dry_run.write() as session:
            query = select(Job).where(Job.id.in_(record["jobs"]))
            jobs = session.scalars(query.order_by(Job.sequence)).all()
            drafts = draft(session, core.with_database(dry_run), jobs)
            names = [host for host, _, _ in record["hosts"]]
            hosts = session.scalars(select(Host).where(Host.name.in_(names))).all()
            variables = {host.name: dict(host.variables) for host in hosts}
            variables |= {name: own for found in drafts for name, _, own in found.hosts}
    finally:
        dry_run.roll_back()
    return (drafts[0].items, variables, drafts[0].variables) if drafts else ({}, variables, {})


def _versions(core: Core, record: dict[str, Any]) -> Iterator[str]:
    then, now = record["version"], records.version(core.settings.project_dir)
    if then["sha256"] != now["sha256"]:
        yield f"the playbooks have changed: {_commit(then)} then, {_commit(now)} now"


def _commit(version: Mapping[str, Any]) -> str:
    return f"{version['collection'] or 'no collection'} ({(version['commit'] or version['sha256'])[:12]})"


def _by_id(items: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {host: {kind: {id: item}}}."""
    return {
        host: {kind: {item["id"]: item for item in listed} for kind, listed in kinds.items()}
        for host, kinds in items.items()
    }


def _listed(items: Mapping[str, Any]) -> dict[str, Any]:
    return {host: {kind: list(by_id.values()) for kind, by_id in kinds.items()} for host, kinds in items.items()}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences as texts, one for each field; *then* and *now* have no secrets."""
    old, new = _flat(then), _flat(now)
    for where in sorted(old.keys() | new.keys()):
        before, after = old.get(where), new.get(where)
        if before is None:
            yield f"{where}: sent only now"
        elif after is None:
            yield f"{where}: not sent any more"
        else:
            fields = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
            for field in sorted(fields):
                values = "" if _secret(before.get(field)) else f": {before.get(field)!r}, now {after.get(field)!r}"
                yield f"{where}: {field} has changed{values}"


def _flat(items: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{host} {kind} {identifier}": item
        for host, kinds in _by_id(items).items()
        for kind, by_id in kinds.items()
        for identifier, item in by_id.items()
    }


def _secret(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {records.REFERENCE}


def _restore_secrets(recorded: Any, current: Any, where: str, missing: list[str]) -> Any:
    """Return *recorded* with the secrets that *current* has at the same places."""
    if _secret(recorded):
        if current is MISSING or current is None:
            missing.append(where.strip())
            return None
        return current
    if isinstance(recorded, dict):
        there = current if isinstance(current, dict) else {}
        return {
            key: _restore_secrets(item, there.get(key, MISSING), f"{where} {key}", missing)
            for key, item in recorded.items()
        }
    if isinstance(recorded, list):
        there_too = (
            current if isinstance(current, list) and len(current) == len(recorded) else [MISSING] * len(recorded)
        )
        pairs = zip(recorded, there_too, strict=True)
        return [_restore_secrets(item, other, where, missing) for item, other in pairs]
    return recorded

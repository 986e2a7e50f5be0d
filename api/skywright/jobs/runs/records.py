"""The record of a run: what was sent to which host, complete enough for a replay, but without secrets.

A reference with a keyed digest replaces each secret. A replay reads the secret from the database again, and the digest
shows whether it is still the same.
"""

import functools
import hashlib
import hmac
import logging
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from skywright.auth.signatures import secret_key
from skywright.core import Core
from skywright.db.base import isoformat, utcnow
from skywright.db.jobs import Run
from skywright.jobs.engine.events import brief
from skywright.jobs.runs import rundir
from skywright.redact import is_secret

if TYPE_CHECKING:
    from skywright.jobs.engine.claim import Claim
    from skywright.jobs.engine.results import Results

log = logging.getLogger(__name__)

REFERENCE = "$secret"
# Fields with data of users for their servers, and URLs that allow to read an image.
SECRET_FIELDS = frozenset({"config_drive", "url"})
CODE = ("playbooks", "roles", "plugins")
LEFT_SECONDS = 3600.0


def conceal(value: Any, key: bytes, name: str = "") -> Any:
    """Return *value* with references in place of its secrets."""
    if value is not None and (name in SECRET_FIELDS or is_secret(name)):
        content = value.partition("?")[0] if name == "url" and isinstance(value, str) else value
        return _reference(content, key)
    if isinstance(value, Mapping):
        return {field: conceal(item, key, field) for field, item in value.items()}
    if isinstance(value, list | tuple):
        return [conceal(item, key) for item in value]
    return value


def _reference(value: Any, key: bytes) -> dict[str, str]:
    """Return the reference that replaces a secret."""
    data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return {REFERENCE: hmac.new(key, data, hashlib.sha256).hexdigest()}


def begin(core: Core, directory: rundir.RunDirectory, claimed: "Claim") -> None:
    """Write the record at the beginning of the run."""
    key = digest_key(core)
    names = [name for name, _, _ in claimed.hosts]
    record: dict[str, Any] = {
        "run": claimed.run_id,
        "playbook": claimed.playbook,
        "version": version(core.settings.project_dir),
        "check": claimed.work.check,
        "begun_at": isoformat(utcnow(), micro=True),
        "jobs": {job_id: {} for job_id in claimed.attempts},
        "hosts": [[name, groups, conceal(variables, key)] for name, groups, variables in claimed.hosts],
        "items": {name: conceal(claimed.work.items.get(name, {}), key) for name in names},
        "variables": conceal(claimed.work.variables, key)
        | {name: _reference(value, key) for name, value in claimed.work.confidential.items()},
    }
    _write(directory, record)


def end(directory: rundir.RunDirectory, claimed: "Claim", results: "Results") -> None:
    """Add the outcome of the run."""
    record = _load(directory.path)
    if record is None:
        return
    outcomes = {job_id: results.outcome(claimed.work.depends[job_id]) for job_id in claimed.attempts}
    record |= {"state": results.state, "rc": results.rc, "ended_at": isoformat(utcnow(), micro=True)}
    record["jobs"] = {
        job_id: {"ok": outcome.ok, "error": outcome.error, "items": brief(outcome.results, "host", "module")}
        for job_id, outcome in outcomes.items()
    }
    _write(directory, record)


def load(core: Core, run_id: str) -> dict[str, Any] | None:
    """Return the record of a run; None if it is not on this machine."""
    return _load(core.settings.run_dir / run_id)


def clean_up(core: Core) -> None:
    """Remove what dead workers left: the files of ended runs, which hold variables, but not their records, and the
    directories of runs without a row. A run that is not known as ended is left for an hour.
    """
    runs = core.settings.run_dir
    with core.database.read() as session:
        states = {run.id: run.state for run in session.execute(select(Run.id, Run.state))}
    for path in runs.glob("*"):
        try:
            state, locked = states.get(path.name), (path / "lock").exists()
            is_new = path.lstat().st_mtime > time.time() - LEFT_SECONDS
            if (state in (None, "running") and is_new) or (locked and not rundir.is_abandoned(runs, path.name)):
                continue
            if state is None or locked:
                rundir.remove(runs, path.name, record=state is None)
        except OSError as error:
            log.warning("%s cannot be removed: %s", path, error)


def version(project: Path) -> dict[str, str | None]:
    """Return the version of the playbooks: of the collection, the commit, and a digest of the files."""
    files = sorted(path for part in CODE for path in (project / part).rglob("*") if path.suffix in _SUFFIXES)
    newest = max((path.stat().st_mtime_ns for path in files), default=0)
    return _version(project, len(files), newest)


_SUFFIXES = frozenset({".yml", ".yaml", ".py", ".j2"})


@functools.lru_cache(maxsize=4)
def _version(project: Path, _files: int, _newest: int) -> dict[str, str | None]:
    digest = hashlib.sha256()
    for part in CODE:
        for path in sorted(path for path in (project / part).rglob("*") if path.suffix in _SUFFIXES):
            digest.update(f"{path.relative_to(project)}\n".encode() + path.read_bytes())
    return {"collection": _collection(project), "commit": _commit(project), "sha256": digest.hexdigest()}


def _collection(project: Path) -> str | None:
    try:
        lines = (project / "galaxy.yml").read_text().splitlines()
    except FileNotFoundError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("version:")), None)


def _commit(project: Path) -> str | None:
    command = ["git", "-C", str(project), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def _load(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = orjson.loads((path / rundir.RECORD).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    return record


def _write(directory: rundir.RunDirectory, record: dict[str, Any]) -> None:
    """Write the record. A failure, such as a full disk, does not end the run."""
    try:
        fresh = directory.write(f".{rundir.RECORD}", orjson.dumps(record, option=orjson.OPT_INDENT_2).decode())
        os.replace(fresh, directory.path / rundir.RECORD)  # noqa: PTH105
    except OSError:
        log.exception("run %s is not recorded", record["run"])


def digest_key(core: Core) -> bytes:
    """Return the key of the secrets' digests, without which nobody can guess a secret by its digest."""
    return secret_key(core.settings.key_dir / "records.key")

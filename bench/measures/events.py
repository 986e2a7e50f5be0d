"""Ten thousand events of a run, stored as a worker does and streamed as server-sent events meanwhile, to two clients.

One reads on; the other loses its connection again and again and resumes behind the last event that it saw.
"""

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from bench.alone import Alone
from bench.client import TIMEOUT, Client
from bench.measures import Context
from bench.stats import Row, Target
from skywright.cloud import Cloud
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Job, Run
from skywright.jobs.engine.events import store

EVENTS = 10_000
BATCH = 50  # what a worker writes at a time
LOST_AFTER = 700  # messages


def measure(context: Context) -> Iterator[Row]:
    with Alone(context.root / "var") as alone, ThreadPoolExecutor(2) as pool:
        job_id, run_id = _begin(alone)
        started = time.monotonic()
        steady = pool.submit(_follow, alone.client, job_id, None)
        broken = pool.submit(_follow, alone.client, job_id, LOST_AFTER)
        _store(alone.cloud, run_id)
        stored = time.monotonic() - started
        _end(alone.cloud, job_id)
        followers = {"a kept connection": steady.result(), "a connection that is lost": broken.result()}
        streamed = time.monotonic() - started
    wanted = list(range(1, EVENTS + 1))
    for name, counters in followers.items():
        missing = len(set(wanted) - set(counters))
        detail = {"seen": len(counters), "in order, each once": counters == wanted}
        yield Row(f"{EVENTS} events, {name}: missing", "", [missing], Target(0), detail)
        repeated = len(counters) - len(set(counters))
        yield Row(f"{EVENTS} events, {name}: repeated", "", [repeated], Target(0))
    yield Row(f"{EVENTS} events: stored", "/s", [EVENTS / stored])
    yield Row(f"{EVENTS} events: stored and streamed to both", "/s", [EVENTS / streamed])


def _begin(alone: Alone) -> tuple[str, str]:
    """A job that runs, and its run."""
    job_id, run_id = new_uuid(), new_uuid()
    with alone.cloud.database.write() as session:
        session.add(Run(id=run_id, playbook="host", worker="bench"))
        session.flush()
        job = Job(id=job_id, playbook="host", action="observe", state="running", attempts=1, run_id=run_id)
        job.project_id = alone.client.project_id
        session.add(job)
    return job_id, run_id


def _store(cloud: Cloud, run_id: str) -> None:
    for first in range(0, EVENTS, BATCH):
        with cloud.database.write() as session:
            store(session, run_id, [_event(number) for number in range(first, first + BATCH)])


def _event(number: int) -> dict[str, object]:
    """What ansible-runner says of a task that went well."""
    result = {"changed": True, "results": [{"id": new_uuid(), "changed": True, "action": "create", "status": "ACTIVE"}]}
    data = {"host": f"host{number % 10}", "task": "Converge servers", "res": result, "duration": 0.25}
    return {"event": "runner_on_ok", "created": utcnow().isoformat(), "event_data": data}


def _end(cloud: Cloud, job_id: str) -> None:
    with cloud.database.write() as session:
        job = session.query(Job).where(Job.id == job_id).one()
        job.state, job.finished_at = "successful", utcnow()


def _follow(client: Client, job_id: str, lost_after: int | None) -> list[int]:
    """The counters of all events until the job ends; a client with *lost_after* hangs up after so many messages."""
    counters: list[int] = []
    last = ""
    while True:
        for kind, identifier, data in _messages(client, job_id, last, lost_after):
            last = identifier or last
            if kind == "event":
                counters.append(data["counter"])
            elif kind == "job" and data["state"] != "running":
                return counters


def _messages(client: Client, job_id: str, last: str, limit: int | None) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, id, data) of one connection, up to *limit*."""
    parts = urlsplit(client.url_of("operations", f"/jobs/{job_id}/follow"))
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    headers = {"X-Auth-Token": client.token, **({"Last-Event-ID": last} if last else {})}
    try:
        connection.request("GET", parts.path, headers=headers)
        fields: dict[str, str] = {}
        seen = 0
        for line in connection.getresponse():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
                fields, seen = {}, seen + 1
                if seen == limit:
                    return
    finally:
        connection.close()

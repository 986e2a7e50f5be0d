"""Two hosts whose runs and observations have scripted outcomes; time passes by changes in the database."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jobs_fake
import pytest
from sqlalchemy import select, update

from recorded_hosts import answer, facts, observed
from skywright.cloud import Cloud
from skywright.db import new_uuid, utcnow
from skywright.db.jobs import Host, Job, JobResource, Run
from skywright.jobs.engine import host_state
from skywright.jobs.engine.claim import Claim, claim, still_claimed
from skywright.jobs.engine.results import Results
from skywright.jobs.engine.settle import settle
from skywright.services.compute.tables import Server
from skywright.services.image.tables import Image

REFUSED = "Connection refused"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Two compute hosts of libvirt's null driver, `a` and `b`."""
    cloud = jobs_fake.make_cloud(tmp_path)
    with cloud.database.write() as session:
        for host in session.scalars(select(Host)):
            session.delete(host)
        for name in "ab":
            variables = {"hypervisor_libvirt_uri": "test:///default"}
            known = facts(memory_mib=8000 if name == "a" else 4000, boot="1")
            session.add(observed(name, variables=variables, recorded=known))
        formats = {"disk_format": "qcow2", "container_format": "bare"}
        session.add(Image(id="img", status="active", os_hash_algo="sha512", os_hash_value="ab", **formats))
    yield cloud
    cloud.database.engine.dispose()


def make(cloud: Cloud, name: str, **values: Any) -> None:
    columns: dict[str, Any] = {"project_id": "p", "user_id": "u", "name": name, "hostname": name, "flavor": {"disk": 0}}
    columns |= {"vcpus": 1, "ram_mib": 128, "disk_gib": 1, "image_id": "img"}
    with cloud.database.write() as session:
        session.add(Server(id=name, **columns | values))


def ask(cloud: Cloud, action: str, server: str, user: str | None = "u", **arguments: Any) -> str:
    with cloud.database.write() as session:
        job = Job(playbook="server", action=action, arguments=arguments, user_id=user)
        job.resources = [JobResource(resource_type="server", resource_id=server)]
        session.add(job)
        session.flush()
        return job.id


def take(cloud: Cloud) -> Claim | None:
    with cloud.database.write() as session:
        return claim(session, cloud, "w", new_uuid())


def results_of(claimed: Claim, **unreachable: str) -> Results:
    """Return the results of a run that succeeds on all hosts except the *unreachable* ones."""
    results = Results()
    for host, kinds in claimed.work.items.items():
        if host in unreachable:
            data = {"host": host, "res": {"msg": unreachable[host]}}
            results.add({"event": "runner_on_unreachable", "event_data": data})
            continue
        items = [{"id": item["id"], "changed": True} for items in kinds.values() for item in items]
        data = {"host": host, "res": {"results": items}}
        results.add({"event": "runner_on_ok", "event_data": data})
    results.add({"event": "playbook_on_stats", "event_data": {}})
    results.rc = 4 if unreachable else 0
    return results


def end(cloud: Cloud, claimed: Claim, **unreachable: str) -> None:
    """Settle the jobs like a worker after a run."""
    results = results_of(claimed, **unreachable)
    with cloud.database.write() as session:
        host_state.record_reachability(session, cloud, results, session.get_one(Run, claimed.run_id).started_at)
        for job in still_claimed(session, claimed.attempts):
            if not host_state.postpone(session, cloud, job, claimed.work, results):
                settle(session, cloud, job, results.outcome(claimed.work.depends[job.id]))


def run(cloud: Cloud, **unreachable: str) -> Claim:
    claimed = take(cloud)
    assert claimed is not None and claimed.hosts
    end(cloud, claimed, **unreachable)
    return claimed


def server(cloud: Cloud, name: str) -> Server:
    with cloud.database.read() as session:
        return session.get_one(Server, name)


def host(cloud: Cloud, name: str) -> Host:
    with cloud.database.read() as session:
        return session.get_one(Host, name)


def set_host(cloud: Cloud, name: str, **values: Any) -> None:
    with cloud.database.write() as session:
        session.execute(update(Host).where(Host.name == name).values(**values))


def time_passes(cloud: Cloud, name: str) -> None:
    """Let the pauses of the host and of the jobs that wait for it end."""
    past = utcnow() - timedelta(seconds=1)
    with cloud.database.write() as session:
        session.execute(update(Host).where(Host.name == name, Host.retry_at.is_not(None)).values(retry_at=past))
        session.execute(update(Job).where(Job.held_by == name).values(not_before=past))


def quarantine(cloud: Cloud, name: str) -> None:
    later = utcnow() + timedelta(minutes=5)
    set_host(cloud, name, up=False, failures=3, quarantined_at=utcnow(), retry_at=later, unreachable=REFUSED)


def set_state(cloud: Cloud, name: str, state: str) -> None:
    with cloud.database.write() as session:
        host_state.set_state(session, cloud, session.get_one(Host, name), state, "why")


def probe(
    cloud: Cloud,
    *domains: tuple[str, str],
    start: Any = None,
    down: str | None = None,
    boot: str = "1",
    reason: str | None = None,
) -> None:
    """An observation of host `a`, which began at *start*; *reason*: why its domains are off."""
    with cloud.database.write() as session:
        run = Run(playbook="host", worker="w", started_at=start or utcnow())
        session.add(run)
        session.flush()
        row = Job(playbook="host", action="observe", state="running", run_id=run.id, items=[["a", "a"]])
        session.add(row)
        session.flush()
        results = Results()
        found = [{"id": name, "power": power, "reason": reason} for name, power in domains]
        said = answer(boot=boot, domains=found, contents=None)
        data = {"host": "a", "res": {"msg": down} if down else {"host": said}}
        results.add({"event": "runner_on_unreachable" if down else "runner_on_ok", "event_data": data})
        results.rc = 0
        host_state.record_reachability(session, cloud, results, run.started_at)
        settle(session, cloud, row, results.outcome({("a", "a")}))

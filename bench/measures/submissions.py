"""How many jobs a second one API process accepts: from the request to the durable row, with nobody to run them."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from bench.alone import Alone
from bench.client import ApiError
from bench.measures import Context
from bench.records import running_server
from bench.stats import Row, Target
from skywright.cloud import Cloud
from skywright.db.jobs import Host, Job

CLIENTS = 16  # over kept connections
JOBS = 1000


def measure(context: Context) -> Iterator[Row]:
    """Servers are stopped and then deleted: a request and a job each."""
    rounds = max(3, context.rounds // 2)
    with Alone(context.root / "var") as alone:
        stops, deletes = [], []
        for _ in range(rounds):
            servers = _servers(alone)
            stops.append(_rate(alone, "POST", [f"/servers/{server}/action" for server in servers], {"os-stop": None}))
            deletes.append(_rate(alone, "DELETE", [f"/servers/{server}" for server in servers]))
    detail = {"clients": CLIENTS, "jobs": JOBS}
    yield Row(f"accepting jobs: stopping servers, {CLIENTS} clients", "/s", stops, Target(200, least=True), detail)
    yield Row(f"accepting jobs: deleting servers, {CLIENTS} clients", "/s", deletes, None, detail)


def _rate(alone: Alone, method: str, paths: Sequence[str], body: object = None) -> float:
    """Send the requests from all clients at once; how many were accepted a second."""
    before = _jobs(alone.cloud)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda _: alone.client.call("compute", "GET", "/servers?limit=1"), range(CLIENTS)))
        started = time.perf_counter()
        list(pool.map(lambda path: alone.client.call("compute", method, path, body), paths))
        seconds = time.perf_counter() - started
    if (made := _jobs(alone.cloud) - before) != len(paths):
        raise ApiError(f"{len(paths)} requests were accepted, {made} jobs are in the database")
    return len(paths) / seconds


def _jobs(cloud: Cloud) -> int:
    with cloud.database.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def _servers(alone: Alone) -> list[str]:
    """The ids of servers that run, as far as the records say."""
    with alone.cloud.database.write() as session:
        if session.get(Host, "null1") is None:
            session.add(Host(name="null1", groups=["computes"]))
        servers = [running_server(alone.client, f"bench-{number}", "null1") for number in range(JOBS)]
        session.add_all(servers)
        session.flush()
        return [server.id for server in servers]

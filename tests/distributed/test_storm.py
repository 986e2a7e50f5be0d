"""Three hundred jobs on three workers, while workers, the broker and the database are killed in turn."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from distributed.cluster import HOSTS, PASSWORD, Api, Machine, make_first
from distributed.servers import MariaDb, RabbitMq, wait_for
from skywright.cloud import Cloud
from skywright.db import DatabaseUnavailable
from skywright.db.jobs import Job, Run
from skywright.services.compute.tables import Server
from skywright.services.network.tables import Address, Port

SERVERS, DELETED = 200, 100
SECONDS = 24  # the jobs are submitted during this time
CLIENTS = 4
WAIT_SECONDS = 90.0


@dataclass
class Cluster:
    cloud: Cloud
    root: Path
    apis: list[Api]
    workers: list[Machine]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDb, rabbitmq: RabbitMq) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("cluster")
    url = mariadb.url("storm")
    upgrade_twice_at_once(url)
    cloud, settings = make_first(root, url, rabbitmq.url)
    apis = [Api(root, f"api{number}", settings) for number in (1, 2)]
    workers = [Machine(root, f"worker{number}", ["-m", "skywright.worker"], settings) for number in (1, 2, 3)]
    for machine in (*apis, *workers):
        machine.start()
    try:
        for api in apis:
            wait_for(api.ready, 60, api.state / "log")
        yield Cluster(cloud, root, apis, workers)
    finally:
        for machine in (*apis, *workers):
            machine.kill()
        cloud.database.engine.dispose()


def upgrade_twice_at_once(url: str) -> None:
    """Migrate the database twice at once, like several processes of a new cloud."""
    code = f"from skywright.db.migrate import upgrade; upgrade({url!r})"
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]


class Client:
    """A client that repeats requests after a 503, and checks whether it was done if that is unknown."""

    def __init__(self, apis: list[Api]) -> None:
        self.apis, self.http = apis, httpx.Client(timeout=60, trust_env=False)
        self.token = self.request("POST", "/identity/v3/auth/tokens", LOGIN, fresh=True).headers["X-Subject-Token"]
        self.repeated = 0

    def request(self, method: str, path: str, body: Any = None, *, fresh: bool = False, key: int = 0) -> httpx.Response:
        headers = {} if fresh else {"X-Auth-Token": self.token, "OpenStack-API-Version": "compute 2.90"}
        limit = time.monotonic() + WAIT_SECONDS
        while True:
            api = self.apis[key % len(self.apis)]
            answer = self.http.request(method, api.url + path, json=body, headers=headers)
            if answer.status_code != 503 or time.monotonic() > limit:
                return answer
            assert "look whether" not in answer.text, "the API has found out itself"
            self.repeated += 1
            time.sleep(int(answer.headers["Retry-After"]))

    def ask(self, method: str, path: str, body: Any = None, *, key: int = 0) -> Any:
        answer = self.request(method, path, body, key=key)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


USER = {"name": "admin", "password": PASSWORD, "domain": {"id": "default"}}
SCOPE = {"project": {"name": "admin", "domain": {"id": "default"}}}
LOGIN = {"auth": {"identity": {"methods": ["password"], "password": {"user": USER}}, "scope": SCOPE}}


class Work:
    """The requests: servers are created, and the first ones are deleted."""

    def __init__(self, client: Client, cloud: Cloud) -> None:
        self._client, self._cloud = client, cloud
        self._made: dict[int, str] = {}
        network = client.ask("POST", "/networking/v2.0/networks", {"network": {"name": "storm"}})["network"]["id"]
        subnet = {"network_id": network, "ip_version": 4, "cidr": "10.9.0.0/20"}
        client.ask("POST", "/networking/v2.0/subnets", {"subnet": subnet})
        flavor = {"name": "tiny", "vcpus": 1, "ram": 64, "disk": 1}
        self._flavor = client.ask("POST", "/compute/v2.1/flavors", {"flavor": flavor})["flavor"]["id"]
        image = {"name": "none", "disk_format": "raw", "container_format": "bare"}
        self._image = client.ask("POST", "/image/v2/images", image)["id"]
        client.http.put(
            f"{client.apis[0].url}/image/v2/images/{self._image}/file",
            content=b"\0" * 4096,
            headers={"X-Auth-Token": client.token, "Content-Type": "application/octet-stream"},
        ).raise_for_status()
        self._network = network

    def do(self, number: int, moment: float) -> None:
        """Create a server at the *moment*, not all at once, and delete an older one."""
        time.sleep(max(0.0, moment - time.monotonic()))
        self._made[number] = self.make(number)
        older = number - (SERVERS - DELETED)
        if older >= 0:
            # Otherwise the deletion would cancel its create.
            wait_for(lambda: older in self._made and self._active(self._made[older]), WAIT_SECONDS, f"server {older}")
            self._client.ask("DELETE", f"/compute/v2.1/servers/{self._made[older]}", key=number)

    def _active(self, server_id: str) -> bool:
        try:
            with self._cloud.database.read() as session:
                return session.get_one(Server, server_id).status == "ACTIVE"
        except DatabaseUnavailable:  # one of the disasters
            return False

    def make(self, number: int) -> str:
        body = {"name": f"storm-{number}", "flavorRef": self._flavor, "imageRef": self._image}
        body |= {"networks": [{"uuid": self._network}]}
        return self._client.ask("POST", "/compute/v2.1/servers", {"server": body}, key=number)["server"]["id"]


def storm(cluster: Cluster, mariadb: MariaDb, rabbitmq: RabbitMq) -> Iterator[Callable[[], None]]:
    """Inject one fault every few seconds. The third worker's machine comes back only at the end."""
    first, second, third = cluster.workers

    def lose_broker() -> None:
        rabbitmq.kill()
        rabbitmq.start(wait=False)

    def lose_database(seconds: float) -> None:
        mariadb.kill()
        time.sleep(seconds)
        mariadb.start()

    def lose_worker(worker: Machine) -> None:
        worker.kill()
        worker.start()

    yield lambda: lose_worker(first)
    yield lambda: lose_database(0)
    yield third.kill
    yield lose_broker
    yield lambda: lose_database(2)
    yield lambda: lose_worker(second)
    yield lambda: lose_database(0.5)
    yield lambda: lose_worker(first)


def settlements(cloud: Cloud) -> None:
    """Create database triggers that count how often each job ends or changes after its end."""
    with cloud.database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE settled (job BIGINT, state VARCHAR(16))"))
        connection.execute(
            text(
                "CREATE TRIGGER settles AFTER UPDATE ON job FOR EACH ROW "
                "IF NEW.state NOT IN ('queued', 'running') AND OLD.state <> NEW.state OR OLD.finished_at IS NOT NULL "
                "AND (OLD.state <> NEW.state OR OLD.attempts <> NEW.attempts) "
                "THEN INSERT INTO settled VALUES (NEW.sequence, NEW.state); END IF"
            )
        )


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    client = Client(cluster.apis)
    yield client
    client.http.close()


def test_three_hundred_jobs_have_three_hundred_outcomes(
    cluster: Cluster, client: Client, mariadb: MariaDb, rabbitmq: RabbitMq
) -> None:
    cloud = cluster.cloud
    settlements(cloud)
    work = Work(client, cloud)
    before = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(work.do, number, before + SECONDS * number / SERVERS) for number in range(SERVERS)]
        for disaster in storm(
            cluster, mariadb, rabbitmq
        ):  # in this thread, because servers end with the thread that started them
            time.sleep(SECONDS / 9)
            disaster()
        for each in asked:
            each.result()
    wait_for(lambda: not unfinished(cloud), WAIT_SECONDS, f"the jobs; see {cluster.root}")
    seconds = time.monotonic() - before
    check(cluster)
    print(f"{SERVERS + DELETED} jobs in {seconds:.1f} s, {client.repeated} requests repeated")


def unfinished(cloud: Cloud) -> int:
    with cloud.database.read() as session:
        return session.scalar(select(func.count()).where(Job.finished_at.is_(None))) or 0


def check(cluster: Cluster) -> None:
    """Check that every job has one outcome, every run ended, and the hosts match the records."""
    with cluster.cloud.database.read() as session:
        jobs = session.scalars(select(Job).where(Job.playbook == "server")).all()
        runs = session.scalars(select(Run)).all()
        servers = session.scalars(select(Server)).all()
        settled = [row.job for row in session.execute(text("SELECT job FROM settled"))]
        addresses = session.scalars(select(Address.port_id).join(Port).where(Port.device_owner.like("compute:%"))).all()
    assert [job.error for job in jobs if job.state != "successful"] == []
    assert len(jobs) == SERVERS + DELETED
    assert sorted(row for row in settled if row in {job.sequence for job in jobs}) == sorted(
        job.sequence for job in jobs
    )
    assert {job.run_id for job in jobs} <= {run.id for run in runs if run.state == "successful"}
    assert {run.state for run in runs} <= {"successful", "error", "canceled"}
    there = {server.id: server.host for server in servers if server.deleted_at is None}
    assert {server.status for server in servers if server.id in there} == {"ACTIVE"}
    assert (len(servers), len(there), len(addresses)) == (SERVERS, SERVERS - DELETED, SERVERS - DELETED)
    for host in HOSTS:
        directory = cluster.root / host
        assert not (directory / "two-at-once").exists()
        found = {path.name for path in (directory / "servers").iterdir()}
        assert found == {server_id for server_id, name in there.items() if name == host}
    assert any(job.attempts > 1 for job in jobs), "nothing was lost: the storm was none"

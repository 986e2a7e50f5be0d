"""MariaDB instead of SQLite: the same values, one writer at a time, and no damage by lost connections."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from contract.conftest import Api, make_api
from databases import make_tables
from distributed.servers import MariaDb
from skywright.db import Database, DatabaseUnavailable
from skywright.db import mariadb as module
from skywright.db.database import RetryTimer
from skywright.db.jobs import Host, Job
from skywright.db.mariadb import LOCK_SECONDS
from skywright.db.operations import Audit
from skywright.services.compute.tables import Flavor


@pytest.fixture(scope="module")
def database(mariadb: MariaDb) -> Iterator[Database]:
    database = Database(mariadb.url("values"))
    make_tables(database)
    yield database
    database.engine.dispose()


@pytest.fixture
def api(tmp_path: Path, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("SKYWRIGHT_TEST_MARIADB", mariadb.server_url)
    yield from make_api(tmp_path)


def test_values_are_read_as_they_were_written(database: Database) -> None:
    moment = datetime(2026, 11, 20, 23, 59, 59, 999999)
    text = "ß 🚀 \\ % ' \" \0 end " + "x" * 100_000
    with database.write() as session:
        session.add(Job(playbook="p", action="a", created_at=moment, error=text, arguments={"big": 1 << 60, "t": text}))
        session.add(Flavor(name="wide", vcpus=1 << 40, ram_mib=1, disk_gib=0, rxtx_factor=0.1))
    with database.read() as session:
        job = session.scalars(select(Job).where(Job.created_at == moment)).one()
        flavor = session.scalars(select(Flavor).where(Flavor.vcpus == 1 << 40)).one()
        total = session.scalar(select(func.sum(Flavor.ram_mib)))
    assert (job.created_at, job.error, job.arguments) == (moment, text, {"big": 1 << 60, "t": text})
    assert flavor.rxtx_factor == 0.1
    assert total == 1 and isinstance(total, int)


def test_strings_are_compared_exactly(database: Database) -> None:
    names = ["a", "A", "a ", "á", "ss", "ß"]
    with database.write() as session:
        session.add_all(Host(name=name) for name in names)
    with database.read() as session:
        assert [session.scalar(select(Host.name).where(Host.name == name)) for name in names] == names
        assert session.scalars(select(Host.name).order_by(Host.name)).all() == sorted(names)


def test_a_frozen_writer_does_not_block_others(database: Database, mariadb: MariaDb) -> None:
    other = Database(mariadb.url("values"))
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable), database.write() as frozen:
        frozen.add(Host(name="frozen"))
        frozen.flush()
        with other.write() as session:
            session.add(Host(name="other"))
        took = time.monotonic() - began
        frozen.scalar(select(Host.name).limit(1))
    assert took < LOCK_SECONDS / 2
    with database.read() as session:
        assert session.get(Host, "frozen") is None and session.get(Host, "other") is not None
    other.engine.dispose()


class Balancer:
    """Forwards connections; `cut` closes those of the clients, but not those to the server."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port, self._target = self._listener.getsockname()[1], port
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> "Balancer":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._servers):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for one in (self._listener, *self._clients, *self._servers):
            one.close()

    def cut(self) -> None:
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._clients.append(client)
                self._servers.append(server)
                for source, sink in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._pass, args=(source, sink)))
                    self._threads[-1].start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)


def test_a_client_that_lost_its_connection_ends_its_old_session(
    database: Database, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NODE_ID_QUERY", "SELECT 'node', 'this one'")  # as in a cluster
    monkeypatch.setattr(module, "IDLE_SECONDS", 600)
    with Balancer(mariadb.port) as balancer:
        mine = Database(mariadb.url("values").replace(f":{mariadb.port}", f":{balancer.port}"))
        with pytest.raises(DatabaseUnavailable), mine.write() as session:
            session.add(Host(name="cut off"))
            session.flush()
            balancer.cut()
            session.scalar(select(Host.name).limit(1))
        with mine.write() as session:
            assert session.get(Host, "cut off") is None
        mine.engine.dispose()


def test_writers_wait_for_each_other_and_readers_see_one_snapshot(database: Database, mariadb: MariaDb) -> None:
    with database.write() as session:
        session.add(Host(name="counted"))
    others = [Database(mariadb.url("values")) for _ in range(3)]

    def count(mine: Database) -> None:
        for _ in range(20):
            with mine.write() as session:
                row = session.get_one(Host, "counted")
                row.vcpus = row.vcpus + 1

    threads = [threading.Thread(target=count, args=(other,)) for other in (*others, others[0])]
    with database.read() as session:
        assert session.scalar(select(Host.vcpus).where(Host.name == "counted")) == 0
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.scalar(select(Host.vcpus).where(Host.name == "counted")) == 0
    with database.read() as session:
        assert session.scalar(select(Host.vcpus).where(Host.name == "counted")) == 80
    for other in others:
        other.engine.dispose()


def test_a_transaction_with_a_lost_connection_is_rolled_back(database: Database, mariadb: MariaDb) -> None:
    with pytest.raises(DatabaseUnavailable) as caught, database.write() as session:
        session.add(Host(name="lost"))
        session.flush()
        mariadb.kill()
        mariadb.start()
        # A savepoint, as used where the failure of one job must not affect others.
        with suppress(Exception), session.begin_nested():
            session.add(Host(name="lost, too"))
            session.flush()
        session.add(Host(name="ignored"))
    assert not caught.value.uncertain
    with database.read() as session:
        assert not session.scalars(select(Host.name).where(Host.name.in_(["lost", "lost, too", "ignored"]))).all()


def test_work_is_repeated_until_it_is_committed_once(database: Database, mariadb: MariaDb) -> None:
    attempts = []

    def work(session: Session) -> None:
        attempts.append(session)
        session.add(Host(name="persistent"))
        session.flush()
        if len(attempts) == 1:
            mariadb.kill()
            mariadb.start()

    database.transact(work)
    with database.read() as session:
        assert session.get(Host, "persistent") is not None
    assert len(attempts) == 2


class LostCommit:
    """Makes the next commit of a request fail without an answer, after or before it took place."""

    def __init__(self, api: Api, *, took_place: bool) -> None:
        self._engine, self._took_place = api.cloud.database.engine, took_place
        self._armed = True

    def __enter__(self) -> "LostCommit":
        event.listen(self._engine, "commit", self._commit)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "commit", self._commit)

    def _commit(self, connection: Any) -> None:
        if self._armed and connection.get_execution_options().get("write"):
            self._armed = False
            if self._took_place:
                connection.connection.dbapi_connection.commit()
            connection.connection.dbapi_connection._sock.close()


@pytest.mark.parametrize("took_place", [True, False])
def test_a_request_whose_commit_got_no_answer_is_applied_once(api: Api, took_place: bool) -> None:
    with api.connect() as admin, LostCommit(api, took_place=took_place):
        token = admin.auth_token
        body = {"flavor": {"name": "once", "vcpus": 1, "ram": 64, "disk": 0}}
        answer = requests.post(
            f"{api.url}/compute/v2.1/flavors", json=body, headers={"X-Auth-Token": token}, timeout=30
        )
        assert answer.status_code == 200, answer.text
    with api.cloud.database.read() as session:
        flavor = session.scalars(select(Flavor)).one()
        assert answer.json()["flavor"]["id"] == flavor.id
        audits = session.scalars(select(Audit.status).where(Audit.path == "/v2.1/flavors")).all()
    assert audits == [200]


def test_requests_wait_for_the_database_and_get_503_if_it_stays_down(
    api: Api, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api.connect() as admin:
        headers = {"X-Auth-Token": admin.auth_token}
    flavors = f"{api.url}/compute/v2.1/flavors"
    body = {"flavor": {"name": "late", "vcpus": 1, "ram": 64, "disk": 0}}
    mariadb.kill()
    answers: list[requests.Response] = []
    asking = [
        threading.Thread(target=lambda: answers.append(requests.get(flavors, headers=headers, timeout=60))),
        threading.Thread(target=lambda: answers.append(requests.post(flavors, json=body, headers=headers, timeout=60))),
    ]
    for thread in asking:
        thread.start()
    ready = requests.get(f"{api.url}/readyz", timeout=10)
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    mariadb.start()
    for thread in asking:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert requests.get(f"{api.url}/readyz", timeout=10).status_code == 200
    for waits in (Database.write.__wrapped__, RetryTimer.__init__):  # type: ignore[attr-defined]
        monkeypatch.setattr(waits, "__defaults__", (0.5,))
    mariadb.kill()
    answer = requests.post(flavors, json=body, headers=headers, timeout=60)
    mariadb.start()
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert "Nothing was changed" in answer.json()["serviceUnavailable"]["message"]

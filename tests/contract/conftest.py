"""The API in process, on a real socket, for real clients."""

import functools
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
from openstack.connection import Connection
from sqlalchemy import create_engine, text

from databases import make_tables
from skywright.app import Gateway, create_app
from skywright.auth.passwords import hash_password
from skywright.http.server import Server
from skywright.services import bootstrap
from skywright.settings import Settings

PASSWORD = "secret-of-the-tests"
# Hashing takes a third of a second, on purpose: the accounts of all APIs of a process may as well share their hash.
shared_hash = functools.cache(hash_password)


class Api:
    """A running API: its application, its URL, and connections to it."""

    def __init__(self, app: Gateway, url: str) -> None:
        self.app, self.cloud, self.url = app, app.cloud, url

    def connect(self, username: str = "admin", project: str = "admin", **options: object) -> Connection:
        return openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth_url=f"{self.url}/identity",
            username=username,
            password=PASSWORD,
            project_name=project,
            user_domain_name="Default",
            project_domain_name="Default",
            region_name="RegionOne",
            **options,
        )


class Client:
    """Requests of one user to all services; names such as `{network}` in paths are replaced by ids."""

    def __init__(self, api: Api, connection: Connection, **ids: str) -> None:
        self._session, self._url, self._ids = connection.session, api.url, ids

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"OpenStack-API-Version": "compute 2.96"}
        url = self._url + path.format(**self._ids)
        return self._session.request(url, method, json=body, headers=headers, raise_exc=False, authenticated=True)


def make_api(state: Path, address: str = "127.0.0.1") -> Iterator[Api]:
    listener = socket.create_server((address, 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    url = f"http://{address}:{listener.getsockname()[1]}"
    playbooks = state / "playbooks"  # of operators: tests write into it
    shutil.copytree("playbooks/operator", playbooks)
    settings = Settings(state_dir=state, public_url=url, database=_own_database(), operator_playbooks=playbooks)
    yield from run_api(settings, listener)


def run_api(settings: Settings, listener: socket.socket) -> Iterator[Api]:
    """An API with *settings*, whose database is filled if it is new."""
    app = create_app(settings)
    make_tables(app.cloud.database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "hash_password", shared_hash)
        bootstrap.bootstrap(app.cloud.database, settings, dict.fromkeys(("admin", "demo", "alt"), PASSWORD))
    server = Server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Api(app, settings.public_url)
    server.should_exit = True
    thread.join()


def _own_database() -> str:
    """The URL of a new database on the MariaDB whose URL `SKYWRIGHT_TEST_MARIADB` says; "" means SQLite."""
    server = os.environ.get("SKYWRIGHT_TEST_MARIADB")
    if not server:
        return ""
    name = f"contract_{uuid.uuid4().hex}"
    engine = create_engine(server)
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server.rstrip('/')}/{name}"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with the users admin, demo and alt, each with a project of that name."""
    yield from make_api(tmp_path_factory.mktemp("state"))


@pytest.fixture
def admin(api: Api) -> Iterator[Connection]:
    with api.connect() as connection:
        yield connection


@pytest.fixture
def demo(api: Api) -> Iterator[Connection]:
    with api.connect("demo", "demo") as connection:
        yield connection


@pytest.fixture
def alt(api: Api) -> Iterator[Connection]:
    with api.connect("alt", "alt") as connection:
        yield connection


@pytest.fixture
def network(demo: Connection) -> Iterator[Any]:
    """A network of the project demo, which is deleted with its ports."""
    network = demo.network.create_network(name="private")
    yield network
    for port in demo.network.ports(network_id=network.id):
        demo.network.delete_port(port)
    demo.network.delete_network(network)


def job_ended(api: Api, connection: Connection, job_id: str) -> dict[str, Any]:
    """The job as it is when it has ended."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        job: dict[str, Any] = connection.session.get(f"{api.url}/v1/jobs/{job_id}").json()["job"]
        if job["finished_at"]:
            return job
        time.sleep(0.1)
    raise AssertionError("the job does not end")

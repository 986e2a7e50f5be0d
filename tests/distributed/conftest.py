"""The MariaDB and the RabbitMQ of these tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributed.servers import MariaDb, RabbitMq

STATE = Path(__file__).parents[2] / "var"


def _directory() -> Path:
    STATE.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="distributed-", dir=STATE))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    server = MariaDb(_directory())
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMq]:
    server = RabbitMq(_directory())
    server.start()
    yield server
    server.remove()

"""The cloud of `make cloud`, its hosts, and the resources that a test creates in it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from lab.support import ROOT, Lab, Made, connect, unique


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    # Not pytest's directory, because the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="sw") as control:
        lab = Lab(Path(control))
        yield lab
        for host in lab.hosts.values():
            host.disconnect()


@pytest.fixture(scope="session")
def cloud() -> Iterator[Connection]:
    if not (ROOT / "clouds.yaml").exists():
        pytest.fail("there is no cloud: run `make cloud` first")
    with connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def blank(cloud: Connection) -> Iterator[str]:
    """The id of an image without an operating system, for servers that need few resources."""
    disk = bytes(1 << 20)
    image = cloud.image.create_image(unique("blank"), data=disk, disk_format="raw", container_format="bare", wait=True)
    yield image.id
    cloud.image.delete_image(image.id)


@pytest.fixture
def made(cloud: Connection, lab: Lab) -> Iterator[Made]:
    """The resources of one test; afterwards nothing of them is left on any host."""
    made = Made(cloud, lab)
    yield made
    made.clean()


@pytest.fixture(scope="module")
def made_for_all(cloud: Connection, lab: Lab) -> Iterator[Made]:
    """The resources that the tests of one file share."""
    made = Made(cloud, lab)
    yield made
    made.clean()

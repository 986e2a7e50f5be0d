"""The disk of the controller that has the database's writer is slow, then full."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from faults import disks, test_matrix
from faults.hosts import Host, Hosts
from faults.matrix import DISK_FAULTS, Fault
from faults.prepared import SECONDS, make_writer, prepared


@pytest.fixture(scope="module")
def disk(hosts: Hosts) -> Iterator[Host]:
    with prepared(hosts, disks.attach, disks.detach) as host:
        yield host


@pytest.fixture
def writer(hosts: Hosts, disk: Host) -> None:
    """Make the controller the writer again, because the previous fault may have moved it."""
    hosts.recover(SECONDS)
    make_writer(hosts, disk)


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("fault", DISK_FAULTS, ids=lambda fault: fault.name)
def test_the_cloud_survives(
    fault: Fault, cloud: Connection, hosts: Hosts, server: dict[str, Any], report: list[dict[str, Any]]
) -> None:
    test_matrix.test_the_cloud_survives(fault, cloud, hosts, server, report)

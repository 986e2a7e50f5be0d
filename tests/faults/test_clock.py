"""The clock of the controller that has the database's writer jumps an hour ahead, and back."""

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from faults import clocks, test_matrix
from faults.hosts import Host, Hosts
from faults.matrix import CLOCK_FAULT
from faults.prepared import prepared


@pytest.fixture(scope="module")
def clock(hosts: Hosts) -> Iterator[Host]:
    with prepared(hosts, clocks.attach, clocks.detach) as host:
        yield host


@pytest.mark.usefixtures("clock")
def test_the_cloud_survives(
    cloud: Connection, hosts: Hosts, server: dict[str, Any], report: list[dict[str, Any]]
) -> None:
    test_matrix.test_the_cloud_survives(CLOCK_FAULT, cloud, hosts, server, report)

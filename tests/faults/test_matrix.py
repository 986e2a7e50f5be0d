"""One fault after another, while clients use the cloud: time without service, and lost acknowledged data.

`make faults` runs all of them; `make faults-quick` those that are marked quick.
"""

import time
from typing import Any

import pytest
from openstack.connection import Connection

from faults.hosts import Hosts
from faults.load import Load
from faults.matrix import FAULTS, Fault

# Limits of the time without service: usually, and when the database's writer is lost and all wait for the next one.
API_SECONDS, WRITER_SECONDS = 2.0, 10.0
# Durations of use before the fault, during the fault, and after its repair.
BEFORE, DURING, AFTER = 5.0, 12.0, 4.0
# Limit until the cloud is healthy again: a controller boots and its database gets the missed data.
RECOVERED_SECONDS = 120.0


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=pytest.mark.quick if fault.quick else (), id=fault.name) for fault in FAULTS]
)
def test_the_cloud_survives(
    fault: Fault, cloud: Connection, hosts: Hosts, server: dict[str, Any], report: list[dict[str, Any]]
) -> None:
    hosts.recover(60)
    writer = hosts.writer()
    host = writer if fault.database else hosts.holder()
    node = fault.database or fault.whole_host
    limit = WRITER_SECONDS if node and host is writer else API_SECONDS
    # A commit must reach all nodes: all wait until a lost node is excluded. They also wait for the write lock.
    write_limit = WRITER_SECONDS if node or fault.keeps_lock else API_SECONDS
    with Load(cloud, server) as load:
        began = time.monotonic()
        time.sleep(BEFORE)
        struck = time.monotonic()
        fault.inject(hosts, host)
        time.sleep(DURING)
        healed = time.monotonic()
        fault.heal(hosts, host)
        recovery = hosts.recover(RECOVERED_SECONDS)
        time.sleep(AFTER)
        ended = time.monotonic()
    down, write_down = load.reads.gap(struck, ended), load.writes.gap(struck, ended)
    lost = load.lost()
    load.clean()
    report.append(
        {
            "fault": fault.name,
            "host": host.name,
            "down": round(down, 2),
            "write_down": round(write_down, 2),
            "recovery": round(recovery, 1),
            "slower": round(load.reads.mean(struck, healed) / load.reads.mean(began, struck), 2),
            "servers": load.rounds,
            "acknowledged": len(load.keypairs) + len(load.created) + len(load.deleted),
            "lost": len(lost),
        }
    )
    assert not lost
    assert not load.failed
    assert down <= limit, load.reads.refusals[:3]
    assert write_down <= write_limit, load.writes.refusals[:3]

"""One fault after another, while clients go on: how long nobody was served, and what of all they were told is lost.

`make faults` runs all of them; `make faults-quick` those that are marked quick.
"""

import time
from typing import Any

import pytest
from openstack.connection import Connection

from faults.hosts import Hosts
from faults.load import Load
from faults.matrix import FAULTS, Fault

# How long nobody may be served: at all, and without the database's one writer, for whose successor all have to wait.
API_SECONDS, WRITER_SECONDS = 2.0, 10.0
# For so long the clients go on undisturbed, with the fault, and with the fault mended.
BEFORE, DURING, AFTER = 5.0, 12.0, 4.0
# So long at most until all is as before: a controller boots and its database takes over what it missed.
RECOVERED_SECONDS = 120.0


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=pytest.mark.quick if fault.quick else (), id=fault.name) for fault in FAULTS]
)
def test_the_cloud_bears_it(
    fault: Fault, cloud: Connection, hosts: Hosts, server: dict[str, Any], report: list[dict[str, Any]]
) -> None:
    hosts.recover(60)
    writer = hosts.writer()
    host = writer if fault.database else hosts.holder()
    node = fault.database or fault.whole_host
    limit = WRITER_SECONDS if node and host is writer else API_SECONDS
    # A commit has to reach all nodes: until a lost one is left out, all wait. So they do for the writers' lock.
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

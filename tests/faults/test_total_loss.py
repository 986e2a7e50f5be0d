"""All hosts lose power at the same moment; one command recovers the cloud with all acknowledged data."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openstack.connection import Connection

from faults.hosts import OVERCLOUD, Host, Hosts, overcloud
from faults.load import Load

BEFORE, AFTER = 10.0, 5.0
# When the command has ended, the cloud must be healthy; only the next requests of the clients are still to come.
ANSWER_SECONDS, WHOLE_SECONDS = 2.0, 10.0


def test_one_command_recovers_the_cloud(
    cloud: Connection, hosts: Hosts, server: dict[str, Any], report: list[dict[str, Any]]
) -> None:
    hosts.recover(60)
    with Load(cloud, server) as load:
        time.sleep(BEFORE)
        struck = time.monotonic()
        with ThreadPoolExecutor(len(hosts.all)) as threads:
            list(threads.map(Host.cut_power, hosts.all))
        hosts.power_on()
        commanded = time.monotonic()
        overcloud("recover", OVERCLOUD)
        ended = time.monotonic()
        hosts.recover(WHOLE_SECONDS)
        time.sleep(AFTER)
    lost = load.lost()
    load.clean()
    report.append(
        {
            "fault": "power off all hosts",
            "host": "all",
            "down": round(load.reads.gap(struck, ended + AFTER), 2),
            "write_down": round(load.writes.gap(struck, ended + AFTER), 2),
            "recovery": round(ended - commanded, 1),
            "slower": "-",
            "servers": load.rounds,
            "acknowledged": len(load.keypairs) + len(load.created) + len(load.deleted),
            "lost": len(lost),
        }
    )
    assert not lost
    for series in (load.reads, load.writes):
        served = [moment for moment, _ in series.moments if moment > ended]
        assert served and served[0] - ended <= ANSWER_SECONDS, series.refusals[-3:]

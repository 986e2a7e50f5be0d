"""Consistency of the database while its nodes are killed, frozen and partitioned."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from faults.clients import TABLES, Clients
from faults.history import Operation, Outcome, problems
from faults.hosts import Host, Hosts
from lab.support import ROOT, eventually

NAME = "faults"
AUTHORITY = ROOT / "var/overclouds/overcloud/pki/ca.pem"
# Seconds between faults, and duration of a fault: the other nodes exclude a silent one after 3 to 6 s.
PAUSE, LASTS = 3.0, 9.0
SYNCED_SECONDS = 90.0
# Fewer operations mean that the clients were hardly served.
ENOUGH = 500
STATE = "SHOW STATUS WHERE variable_name IN ('wsrep_cluster_size', 'wsrep_local_state_comment')"


def sql(host: Host, *statements: str, check: bool = True) -> str:
    return host.run(f"mariadb -NBe {shlex.quote('; '.join(statements))}", check=check)


def synced(hosts: Hosts) -> bool:
    said = [sql(host, STATE, check=False).split() for host in hosts.controllers]
    return all(set(each[1::2]) == {str(len(said)), "Synced"} for each in said)


def wait_synced(hosts: Hosts) -> None:
    eventually(lambda: synced(hosts), SYNCED_SECONDS, "all nodes are in the cluster")


@pytest.fixture
def url(hosts: Hosts) -> Iterator[str]:
    """Return the API's URL of the database, with the test's own database."""
    wait_synced(hosts)
    deployed = hosts.controllers[0].run("grep ^SKYWRIGHT_DATABASE= /etc/skywright/skywright.env")
    server = deployed.partition("'")[2].partition("/skywright?")[0]
    drop = f"DROP DATABASE IF EXISTS {NAME}"
    sql(hosts.holder(), drop, f"CREATE DATABASE {NAME}", f"USE {NAME}", *TABLES, f"GRANT ALL ON {NAME}.* TO skywright")
    yield f"{server}/{NAME}?ssl_ca={AUTHORITY}"
    wait_synced(hosts)
    sql(hosts.holder(), f"REVOKE ALL ON {NAME}.* FROM skywright", drop)


def kill(*struck: Host) -> None:
    for host in struck:
        host.signal("mariadb", "KILL")


def freeze(*struck: Host) -> None:
    for host in struck:
        host.signal("mariadb", "STOP")
    time.sleep(LASTS)
    for host in struck:
        host.signal("mariadb", "CONT")


def cut_off(*struck: Host) -> None:
    for host in struck:
        host.unplug()
    time.sleep(LASTS)
    for host in struck:
        host.plug()
    for host in struck:
        eventually(lambda host=host: host.run("echo up", check=False) == "up", 30, f"{host.name} is reached")


@dataclass(frozen=True)
class NodeFault:
    """A fault of some nodes: the writer, the writer and another one, ..., or a node that is not the writer."""

    how: Callable[..., None]
    nodes: int = 1
    writer: bool = True

    def __call__(self, hosts: Hosts) -> str:
        first = hosts.writer()
        others = [host for host in hosts.controllers if host is not first]
        struck = ([first, *others] if self.writer else others)[: self.nodes]
        self.how(*struck)
        return f"{self.how.__name__} {'the writer' if self.writer else 'another node'}, {self.nodes} in all"


FAULTS = [
    NodeFault(kill),
    NodeFault(cut_off),
    NodeFault(freeze),
    NodeFault(kill, writer=False),
    NodeFault(cut_off, nodes=2),  # no node has a majority, then all reconnect
    NodeFault(kill, nodes=3),
]


def test_no_acknowledged_write_is_lost_reordered_or_seen_late(hosts: Hosts, url: str) -> None:
    with Clients(url) as clients:
        time.sleep(PAUSE)
        for fault in FAULTS:
            began = time.monotonic()
            what = fault(hosts)
            wait_synced(hosts)
            time.sleep(PAUSE)
            print(outcomes(what, [each for each in clients.operations if each.ended > began], began))
    found = problems(clients.operations, clients.final())
    assert not found, "\n".join(found[:20])
    # Otherwise too little was tested: eight clients do this in 15 seconds.
    assert Counter(each.outcome for each in clients.operations)[Outcome.DONE] >= ENOUGH


def outcomes(what: str, operations: list[Operation], began: float) -> str:
    """Count the outcomes of the clients' operations."""
    counts = Counter(each.outcome for each in operations)
    done = sorted(each.ended for each in operations if each.outcome is Outcome.DONE)
    silence = max(later - earlier for earlier, later in pairwise([began, *done]))
    kinds = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)
    return f"{what}: {kinds}; nothing done for {silence:.1f} s"

"""A controller that is prepared for a fault and is the database's writer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from faults.hosts import Host, Hosts
from lab.support import eventually

SECONDS = 120
HAPROXY = "echo 'set server database/{name} state {state}' | socat - /run/haproxy/admin.sock"


@contextmanager
def prepared(hosts: Hosts, attach: Callable[[Host], None], detach: Callable[[Host], None]) -> Iterator[Host]:
    hosts.recover(SECONDS)
    writer = hosts.writer()
    host = next(host for host in hosts.controllers if host is not writer)
    try:
        attach(host)
        hosts.recover(SECONDS)
        make_writer(hosts, host)
        yield host
    finally:
        detach(host)
        hosts.recover(SECONDS)


def make_writer(hosts: Hosts, chosen: Host) -> None:
    """Make this node the writer; it stays the writer when the others are used again.

    A reloaded HAProxy may still have connections to another node, which clients close within a minute.
    """
    others = [host for host in hosts.controllers if host is not chosen]
    set_state(hosts, others, "maint")
    eventually(lambda: hosts.writer() is chosen, 90, f"{chosen.name} has the writer")
    set_state(hosts, others, "ready")


def set_state(hosts: Hosts, servers: list[Host], state: str) -> None:
    commands = "; ".join(HAPROXY.format(name=server.name, state=state) for server in servers)
    for balancer in hosts.controllers:
        balancer.run(commands)

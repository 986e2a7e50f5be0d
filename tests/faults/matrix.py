"""The faults: what is done to which host, and how it is made good again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from faults.hosts import Host, Hosts

SERVICES = ("mariadb", "rabbitmq-server", "haproxy", "keepalived", "skywright-api", "skywright-worker", "memcached")


@dataclass(frozen=True)
class Fault:
    """One row of the matrix; *seconds* is how long the API may be gone."""

    name: str
    inject: Callable[[Hosts, Host], None]
    heal: Callable[[Hosts, Host], None]
    seconds: float = 2.0
    quick: bool = False


# Without the database's one writer nobody is served: all wait until there is another.
WRITER = 10.0


def nothing(_hosts: Hosts, _host: Host) -> None:
    """It mends itself."""


def sent(signal: str, service: str) -> Callable[[Hosts, Host], None]:
    return lambda _hosts, host: host.signal(service, signal)


def of_processes(
    how: str, inject: str, heal: Callable[[str], Callable[[Hosts, Host], None]], quick: str
) -> Iterator[Fault]:
    """The same for every service."""
    for name in SERVICES:
        seconds = WRITER if name == "mariadb" else Fault.seconds
        yield Fault(f"{how} {name}", sent(inject, name), heal(name), seconds, quick=name == quick)


FAULTS = [
    *of_processes("kill -9", "KILL", lambda _: nothing, quick="mariadb"),
    *of_processes("freeze", "STOP", lambda name: sent("CONT", name), quick="haproxy"),
    Fault("power off", lambda _, host: host.cut_power(), lambda hosts, _: hosts.power_on(), WRITER, quick=True),
    Fault("partition", lambda _, host: host.unplug(), lambda _, host: host.plug(), WRITER),
]

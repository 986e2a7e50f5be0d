"""The faults: what is done to which host, and how it is made good again."""

from collections.abc import Callable
from dataclasses import dataclass

from faults.hosts import Host, Hosts

SERVICES = ("mariadb", "rabbitmq-server", "haproxy", "keepalived", "skywright-api", "skywright-worker", "memcached")


@dataclass(frozen=True)
class Fault:
    """One row of the matrix; *seconds* is how long the API may be gone, *write_seconds* the database's writer."""

    name: str
    inject: Callable[[Hosts, Host], None]
    heal: Callable[[Hosts, Host], None]
    seconds: float = 2.0
    write_seconds: float = 10.0
    quick: bool = False


def nothing(_hosts: Hosts, _host: Host) -> None:
    """It mends itself."""


def sent(signal: str, service: str) -> Callable[[Hosts, Host], None]:
    return lambda _hosts, host: host.signal(service, signal)


FAULTS = [
    *(Fault(f"kill -9 {name}", sent("KILL", name), nothing, quick=name == "mariadb") for name in SERVICES),
    *(Fault(f"freeze {name}", sent("STOP", name), sent("CONT", name), quick=name == "haproxy") for name in SERVICES),
    Fault("power off", lambda _, host: host.cut_power(), lambda hosts, _: hosts.power_on(), quick=True),
    Fault("partition", lambda _, host: host.unplug(), lambda _, host: host.plug()),
]

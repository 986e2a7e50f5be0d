"""The faults: what is done to which host, and how it is repaired."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from faults import clocks, disks
from faults.hosts import SERVICES, Host, Hosts

# They write to the database or forward writes: a frozen one keeps the write lock for a while.
WRITING = ("haproxy", "skywright-api", "skywright-worker")


@dataclass(frozen=True)
class Fault:
    """One row of the matrix. It hits the holder of the virtual address or, with *database*, the writer."""

    name: str
    inject: Callable[[Hosts, Host], None]
    heal: Callable[[Hosts, Host], None]
    database: bool = False
    whole_host: bool = False
    keeps_lock: bool = False
    quick: bool = False


def nothing(_hosts: Hosts, _host: Host) -> None:
    """Repair nothing: the cloud recovers without help."""


def sent(signal: str, service: str) -> Callable[[Hosts, Host], None]:
    return lambda _hosts, host: host.signal(service, signal)


def of_processes(
    how: str, inject: str, heal: Callable[[str], Callable[[Hosts, Host], None]], quick: Collection[str]
) -> Iterator[Fault]:
    """Return the same faults for every service."""
    for name in SERVICES:
        yield Fault(
            f"{how} {name}",
            sent(inject, name),
            heal(name),
            database=name == "mariadb",
            keeps_lock=inject == "STOP" and name in WRITING,
            quick=name in quick,
        )


FAULTS = [
    *of_processes("kill -9", "KILL", lambda _: nothing, quick=["mariadb", "skywright-api"]),
    *of_processes("freeze", "STOP", lambda name: sent("CONT", name), quick=["haproxy"]),
    Fault("power off", lambda _, host: host.cut_power(), lambda hosts, _: hosts.power_on(), whole_host=True),
    Fault("partition", lambda _, host: host.unplug(), lambda _, host: host.plug(), whole_host=True),
]

# Faults that need preparation: see test_disk.py and test_clock.py.
DISK_FAULTS = [
    Fault("slow disk", lambda _, host: disks.slow_down(host), lambda _, host: disks.speed_up(host), database=True),
    Fault("full disk", lambda _, host: disks.fill(host), lambda _, host: disks.empty(host), database=True),
    Fault("full disk, tables grow", disks.outgrow, disks.shrink, database=True),
]
CLOCK_FAULT = Fault(
    "clock jump",
    lambda _, host: clocks.jump(host, clocks.JUMP),
    lambda _, host: clocks.jump(host, 0),
    database=True,
)

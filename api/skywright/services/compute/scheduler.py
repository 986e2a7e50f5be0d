"""The scheduler: it chooses the host of a server, in a write transaction, so that no two decisions are concurrent.

A host offers its vCPUs, memory and disk, multiplied by the overcommit ratios of the settings, or of its variable
`skywright_overcommit: {vcpus: 16, memory: 1, disk: 1}`. Its servers use their share in every status.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.services.compute.tables import Server
from skywright.settings import Settings

DEFAULT_ZONE = "nova"
# What decisions need of a host. Facts are left out: parsing those of a thousand hosts takes longer than the decision.
COLUMNS = (
    Host.name,
    Host.groups,
    Host.variables,
    Host.state,
    Host.up,
    Host.architecture,
    Host.vcpus,
    Host.memory_mib,
    Host.disk_gib,
)


class NoValidHost(Exception):
    """No host can run the server; the message has the reason, filter by filter."""


class Usage(NamedTuple):
    """The resources of a host that servers use, the number of servers, and how many of them have a task."""

    vcpus: int = 0
    ram_mib: int = 0
    disk_gib: int = 0
    servers: int = 0
    tasks: int = 0


@dataclass
class Candidate:
    """A host with its free resources."""

    name: str
    zone: str
    usable: bool
    architecture: str | None
    vcpus: float
    ram_mib: float
    disk_gib: float
    servers: int

    def take(self, server: Server) -> None:
        self.vcpus -= server.vcpus
        self.ram_mib -= server.ram_mib
        self.disk_gib -= server.disk_gib
        self.servers += 1


# In the order of their application: each filter gets the hosts that the one before returned.
FILTERS: Mapping[str, Callable[[Candidate, Server], bool]] = {
    "enabled and up": lambda host, server: host.usable,
    "availability zone": lambda host, server: server.availability_zone in (None, host.zone),
    "architecture": lambda host, server: (
        None in (host.architecture, server.architecture) or host.architecture == server.architecture
    ),
    "requested host": lambda host, server: server.wanted_host in (None, host.name),
    "free vCPUs": lambda host, server: host.vcpus >= server.vcpus,
    "free memory": lambda host, server: host.ram_mib >= server.ram_mib,
    "free disk": lambda host, server: host.disk_gib >= server.disk_gib,
}


def is_compute(host: Host | Row[Any]) -> bool:
    """Return whether servers can run on *host*."""
    return "computes" in host.groups


def zone_of(host: Host | Row[Any]) -> str:
    """Return the availability zone of *host*."""
    return str(host.variables.get("skywright_availability_zone") or DEFAULT_ZONE)


class Scheduler:
    """A batch of decisions: hosts and their usage are read once, and each decision counts for the next ones."""

    def __init__(self, session: Session, settings: Settings) -> None:
        used = usage_by_host(session)
        # The lock serializes decisions in databases that do not serialize writers (SQLite ignores it).
        hosts = session.execute(select(*COLUMNS).order_by(Host.name).with_for_update())
        self._candidates = [
            _candidate(host, used.get(host.name, Usage()), settings) for host in hosts if is_compute(host)
        ]

    def place(self, server: Server) -> str:
        """Assign *server* to the host with the most free memory; of equal ones, to the one with the fewest servers."""
        left = self._candidates
        trail = [f"{len(left)} compute hosts"]
        for name, passes in FILTERS.items():
            left = [host for host in left if passes(host, server)]
            trail.append(f"{name}: {len(left)}")
            if not left:
                raise NoValidHost(
                    f"No valid host was found. There are not enough hosts available ({', '.join(trail)})."
                )
        best = min(left, key=lambda host: (-host.ram_mib, host.servers, host.name))
        best.take(server)
        server.host = best.name
        return best.name


def usage_by_host(session: Session) -> dict[str, Usage]:
    """Return the usage of each host that has servers."""
    query = (
        select(
            Server.host,
            func.sum(Server.vcpus),
            func.sum(Server.ram_mib),
            func.sum(Server.disk_gib),
            func.count(),
            func.count(Server.task_state),
        )
        .where(Server.host.is_not(None), Server.deleted_at.is_(None))
        .group_by(Server.host)
    )
    return {str(host): Usage(*(int(number) for number in numbers)) for host, *numbers in session.execute(query)}


def _candidate(host: Row[Any], used: Usage, settings: Settings) -> Candidate:
    ratios = overcommit(host, settings)
    return Candidate(
        name=host.name,
        zone=zone_of(host),
        usable=host.state == "enabled" and host.up,
        architecture=host.architecture,
        vcpus=host.vcpus * ratios["vcpus"] - used.vcpus,
        ram_mib=host.memory_mib * ratios["memory"] - used.ram_mib,
        disk_gib=host.disk_gib * ratios["disk"] - used.disk_gib,
        servers=used.servers,
    )


def overcommit(host: Row[Any], settings: Settings) -> dict[str, float]:
    """Return the allocation ratios of *host* for vCPUs, memory and disk."""
    ratios = {
        "vcpus": settings.overcommit_vcpus,
        "memory": settings.overcommit_memory,
        "disk": settings.overcommit_disk,
    }
    own = host.variables.get("skywright_overcommit") or {}
    return ratios | {name: float(value) for name, value in own.items() if name in ratios}

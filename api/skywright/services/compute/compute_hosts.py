"""The compute hosts, as Nova's administrators see them: what hypervisors, services and zones have in common."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.jobs import QUARANTINED, Host
from skywright.services.compute.scheduler import is_compute


def compute_hosts(session: Session) -> list[Host]:
    """The hosts that servers can run on, by name."""
    return [host for host in session.scalars(select(Host).order_by(Host.name)) if is_compute(host)]


def host_number(host: Host) -> int:
    """The number that stands for a host's id before 2.53."""
    return int(host.id[:7], 16)


def disabled_reason(host: Host) -> str | None:
    """Why the host is disabled; what no person said begins with AUTO, as Nova's own reasons do."""
    if host.condition == QUARANTINED:
        return f"AUTO: {host.name} is unreachable: {host.unreachable}"[:255]
    return host.disabled_reason

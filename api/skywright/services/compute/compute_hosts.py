"""Compute hosts, for the APIs of hypervisors, services and availability zones."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.jobs import QUARANTINED, Host
from skywright.services.compute.scheduler import is_compute


def compute_hosts(session: Session) -> list[Host]:
    """Return the hosts that servers can run on, by name."""
    return [host for host in session.scalars(select(Host).order_by(Host.name)) if is_compute(host)]


def host_number(host: Host) -> int:
    """Return the integer id that represents a host before 2.53."""
    return int(host.id[:7], 16)


def disabled_reason(host: Host) -> str | None:
    """Return why the host is disabled. Reasons that are not from a person begin with AUTO, as in Nova."""
    if host.condition == QUARANTINED:
        return f"AUTO: {host.name} is unreachable: {host.unreachable}"[:255]
    return host.disabled_reason

"""Which hosts a network is on, as far as they still exist."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.services.network.tables import NetworkHost


def hosts_of(session: Session, network_id: str) -> set[str]:
    """Names of the hosts."""
    query = select(NetworkHost.host).join(Host, Host.name == NetworkHost.host)
    return set(session.scalars(query.where(NetworkHost.network_id == network_id)))

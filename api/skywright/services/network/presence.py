"""The hosts that a network is on, without hosts that were removed from the inventory."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.jobs import Host
from skywright.services.network.tables import NetworkHost


def hosts_of(session: Session, network_id: str) -> set[str]:
    """Return the names of the hosts."""
    query = select(NetworkHost.host).join(Host, Host.name == NetworkHost.host)
    return set(session.scalars(query.where(NetworkHost.network_id == network_id)))

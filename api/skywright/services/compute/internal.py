"""What other services may use of this one."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.services.compute.marks import ServerDirectory
from skywright.services.compute.scheduler import Usage, usage_by_host
from skywright.services.compute.tables import Server

__all__ = ["ServerDirectory", "Usage", "has_server", "hosts_of_image", "usage_by_host"]


def has_server(session: Session, identifier: str, *, deleted: bool = False) -> bool:
    """Whether a server has this id; *deleted* ones count only if that is said."""
    query = select(Server.id).where(Server.id == identifier)
    return session.scalar(query if deleted else query.where(Server.deleted_at.is_(None))) is not None


def hosts_of_image(session: Session, image_id: str) -> set[str]:
    """The hosts where a server's disk is based on the image."""
    query = select(Server.host).where(Server.image_id == image_id, Server.deleted_at.is_(None))
    return {host for host in session.scalars(query) if host is not None}

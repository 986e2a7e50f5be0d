"""The functions of this service for other services."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.db.jobs import Job, JobResource
from skywright.jobs.engine.submit import Request, submit
from skywright.services.compute.marks import ServerDirectory
from skywright.services.compute.scheduler import Usage, usage_by_host
from skywright.services.compute.tables import Server

__all__ = [
    "DETACH",
    "REPLUG",
    "ServerDirectory",
    "Usage",
    "detach_port",
    "has_server",
    "hosts_of_image",
    "replug",
    "usage_by_host",
]

DETACH = "detach_interface"  # the action of jobs that remove a deleted port from its server
REPLUG = "replug"  # the action of jobs that apply changed ports on a server's host


def has_server(session: Session, identifier: str, *, deleted: bool = False) -> bool:
    """Return whether a server has this id; *deleted*: whether deleted servers count."""
    query = select(Server.id).where(Server.id == identifier)
    return session.scalar(query if deleted else query.where(Server.deleted_at.is_(None))) is not None


def detach_port(request: Request, server_id: str, port: dict[str, str]) -> None:
    """Remove the deleted *port* {id, mac, network_id} from the server, immediately if it runs."""
    server = request.db.get(Server, server_id)
    if server is None or server.deleted_at is not None:
        return
    server.kept_ports = [kept for kept in server.kept_ports if kept != port["id"]]
    if server.host is not None:
        arguments = {"server_id": server.id, "host": server.host, "ports": [port]}
        submit(request, "server", DETACH, [("server", server.id)], arguments)


def hosts_of_image(session: Session, image_id: str) -> set[str]:
    """Return the hosts that have a server's disk based on the image."""
    query = select(Server.host).where(Server.image_id == image_id, Server.deleted_at.is_(None))
    return {host for host in session.scalars(query) if host is not None}


def replug(request: Request, server_ids: Iterable[str]) -> None:
    """Queue jobs that apply the changed ports of these servers on their hosts, unless such a job is queued already."""
    wanted = set(server_ids)
    queued = select(JobResource.resource_id).join(Job, Job.sequence == JobResource.job_sequence)
    queued = queued.where(JobResource.resource_type == "server", JobResource.resource_id.in_(wanted))
    queued = queued.where(Job.action == REPLUG, Job.state == "queued", Job.cancel_requested_at.is_(None))
    # Locked, so that none begins before this transaction ends.
    wanted -= set(request.db.scalars(queued.with_for_update()))
    query = select(Server.id).where(Server.id.in_(wanted), Server.host.is_not(None), Server.deleted_at.is_(None))
    for server_id in request.db.scalars(query.order_by(Server.id)):
        submit(request, "server", REPLUG, [("server", server_id)])

"""Settling: the status of servers after their jobs."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import CREATE, Core, Outcome
from skywright.db import isoformat, utcnow
from skywright.db.jobs import UNFINISHED, Host, Job, JobResource
from skywright.jobs.engine.submit import enqueue_retry
from skywright.jobs.kinds import CONVERGE, TIDY
from skywright.queue.local import Queue
from skywright.services.compute.internal import DETACH, REPLUG
from skywright.services.compute.kinds.items import ports_of
from skywright.services.compute.tables import Server
from skywright.services.image.internal import server_left
from skywright.services.network.internal import delete_port, ports_up

CLEANUP = "cleanup"
DELETING = "deleting"
# Actions for which users wait: if the host is unreachable they fail, and the server is as before.
FAIL_FAST = ("start", "stop", "reboot")


def settle(session: Session, job: Job, outcome: Outcome, core: Core) -> None:
    """Apply *outcome* to the server of *job*."""
    if job.action in (CLEANUP, DETACH):
        if not outcome.ok and not outcome.canceled:
            _queue_retry(session, core, job.action, job.arguments)
        return
    server = session.get(Server, server_id_of(job))
    if job.action in (TIDY, REPLUG) or server is None or server.deleted_at is not None:
        return
    if job.action == "delete":
        _settle_delete(session, server, job, outcome, core)
    elif outcome.canceled and job.action == CREATE:
        _settle_undone(session, server, job, outcome, core)
    elif outcome.canceled or (outcome.unreachable and job.action in FAIL_FAST):
        _restore(server, job)
    elif outcome.ok:
        _settle_present(session, server)
    elif job.action != CONVERGE:  # a failed repair changes nothing; the job shows the reason
        _fail(server, job, outcome)


def server_id_of(job: Job) -> str:
    return job.resources[0].resource_id


def mark_deleted(session: Session, queue: Queue, server: Server) -> None:
    """Mark the server as deleted, and delete its ports. Ports that the user created are only detached."""
    for port in ports_of(session, [server.id]):
        if port.id in server.kept_ports:
            port.device_id = port.device_owner = port.host = port.dns_name = ""
            port.status = "DOWN"
        else:
            delete_port(session, queue, port)
    server.status, server.task_state, server.power_state = "DELETED", None, 0
    server.admin_pass = server.drive = server.next_drive = None
    server.deleted_at = utcnow()


def _settle_present(session: Session, server: Server) -> None:
    """Set the status of a server that is on its host as desired."""
    running = server.power == "running"
    server.status, server.power_state = ("ACTIVE", 1) if running else ("SHUTOFF", 4)
    server.fault = None
    server.drive, server.next_drive = server.next_drive or server.drive, None
    _end_task(server)
    server.launched_at = server.launched_at or utcnow()
    ports_up(session, ports_of(session, [server.id]))


def _fail(server: Server, job: Job, outcome: Outcome) -> None:
    server.status = "ERROR"
    _end_task(server)
    if job.action == CREATE:
        server.power_state = 0
    text = outcome.error or "The job failed without a reason."
    server.fault = {
        "code": 500,
        "message": text[:255],
        "created": isoformat(utcnow()),
        "details": f"Job {job.id} ({job.action}): {text}",
    }


def _end_task(server: Server) -> None:
    """End the task of the job, unless a deletion was requested and is waiting."""
    if server.task_state != DELETING:
        server.task_state = None


def _restore(server: Server, job: Job) -> None:
    """Restore the desired state from before the job, which changed nothing."""
    for name, value in job.arguments.get("before", {}).items():
        setattr(server, name, value)
    server.next_drive = None
    _end_task(server)


def _settle_undone(session: Session, server: Server, job: Job, outcome: Outcome, core: Core) -> None:
    """End a creation that was undone. The server stays in ERROR, without a host, unless it is being deleted."""
    if server.task_state != DELETING:
        _remove_from_host(session, server, core, clean=outcome.ok or not job.undoing)
        _fail(server, job, outcome)


def _remove_from_host(session: Session, server: Server, core: Core, *, clean: bool) -> None:
    """Remove *server* from its host in the records, and queue a cleanup of the host unless it is *clean*."""
    if not clean:
        _queue_cleanup(session, server, core)
    for port in ports_of(session, [server.id]):
        port.host, port.status = "", "DOWN"
    server.host = None


def _settle_delete(session: Session, server: Server, job: Job, outcome: Outcome, core: Core) -> None:
    """Settle a deletion. It succeeds for the user even if the host is unreachable: a cleanup removes the rest later."""
    if outcome.canceled:
        server.task_state = None
        if server.status == "BUILD" and not _is_being_made(
            session, server
        ):  # its creation was canceled for this deletion
            _remove_from_host(session, server, core, clean=False)
            _fail(server, job, outcome)
        return
    if not outcome.ok:
        _queue_cleanup(session, server, core)
    mark_deleted(session, core.queue, server)
    session.flush()
    server_left(session, server.image_id, core)


def _is_being_made(session: Session, server: Server) -> bool:
    mine = (JobResource.resource_type == "server") & (JobResource.resource_id == server.id)
    query = select(Job.sequence).join(JobResource).where(mine, Job.action == CREATE, Job.state.in_(UNFINISHED))
    return session.scalar(query.limit(1)) is not None


def _queue_cleanup(session: Session, server: Server, core: Core) -> None:
    """Queue a cleanup that removes what is left of *server* on its host."""
    if server.host is None:
        return
    ports = [
        {"id": port.id, "mac": port.mac_address, "network_id": port.network_id}
        for port in ports_of(session, [server.id])
    ]
    arguments = {"server_id": server.id, "host": server.host, "ports": ports, "attempt": 0}
    _queue_retry(session, core, CLEANUP, arguments)


def _queue_retry(session: Session, core: Core, action: str, arguments: dict[str, Any]) -> None:
    """Queue another attempt to remove what is left, unless the host was removed from the inventory."""
    if session.get(Host, arguments["host"]) is not None:
        resources = [("server", arguments["server_id"])]
        enqueue_retry(session, core.queue, "server", action, resources, arguments)

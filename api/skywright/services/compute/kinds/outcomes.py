"""What becomes of servers when their jobs end."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.core import CREATE, Core, Outcome
from skywright.db import isoformat, utcnow
from skywright.db.jobs import UNFINISHED, Host, Job, JobResource
from skywright.jobs.engine.submit import enqueue_retry
from skywright.jobs.kinds import CONVERGE, TIDY
from skywright.services.compute.internal import DETACH, REPLUG
from skywright.services.compute.kinds.items import ports_of
from skywright.services.compute.tables import Server
from skywright.services.image.internal import server_left
from skywright.services.network.internal import delete_port, ports_up

CLEANUP = "cleanup"
DELETING = "deleting"
# What users do to servers and wait for: where a host does not answer, they are told so, and nothing has changed.
FAIL_FAST = ("start", "stop", "reboot")


def settle(session: Session, job: Job, outcome: Outcome, core: Core) -> None:
    """Apply *outcome* to the server of *job*."""
    if job.action in (CLEANUP, DETACH):
        if not outcome.ok and not outcome.canceled:
            _try_later(session, core, job.action, job.arguments)
        return
    server = session.get(Server, server_id_of(job))
    if job.action in (TIDY, REPLUG) or server is None or server.deleted_at is not None:
        return
    if job.action == "delete":
        _settle_delete(session, server, job, outcome, core)
    elif outcome.canceled and job.action == CREATE:
        _settle_undone(session, server, job, outcome, core)
    elif outcome.canceled or (outcome.unreachable and job.action in FAIL_FAST):
        _as_before(server, job)
    elif outcome.ok:
        _settle_present(session, server)
    elif job.action != CONVERGE:  # what could not be repaired is as it was: the job tells why
        _fail(server, job, outcome)


def server_id_of(job: Job) -> str:
    return job.resources[0].resource_id


def mark_deleted(session: Session, server: Server) -> None:
    """The server is gone for its user. Its ports go too; those that the user brought are free again."""
    for port in ports_of(session, [server.id]):
        if port.id in server.kept_ports:
            port.device_id = port.device_owner = port.host = ""
            port.status = "DOWN"
        else:
            delete_port(session, port)
    server.status, server.task_state, server.power_state = "DELETED", None, 0
    server.admin_pass = server.drive = server.next_drive = None
    server.deleted_at = utcnow()


def _settle_present(session: Session, server: Server) -> None:
    """The server is on its host as it was wanted."""
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
    """The job's task is over; a deletion that was asked for meanwhile still waits for its turn."""
    if server.task_state != DELETING:
        server.task_state = None


def _as_before(server: Server, job: Job) -> None:
    """The job changed nothing: what it was to bring about is not wanted any more."""
    for name, value in job.arguments.get("before", {}).items():
        setattr(server, name, value)
    server.next_drive = None
    _end_task(server)


def _settle_undone(session: Session, server: Server, job: Job, outcome: Outcome, core: Core) -> None:
    """The server will not be made. Unless it is being deleted anyway, it stays in the records, on no host."""
    if server.task_state != DELETING:
        _forsake(session, server, core, clean=outcome.ok or not job.undoing)
        _fail(server, job, outcome)


def _forsake(session: Session, server: Server, core: Core, *, clean: bool) -> None:
    """Take *server* off its host, where something of it may be left unless it is *clean*."""
    if not clean:
        _leave_to_cleanup(session, server, core)
    for port in ports_of(session, [server.id]):
        port.host, port.status = "", "DOWN"
    server.host = None


def _settle_delete(session: Session, server: Server, job: Job, outcome: Outcome, core: Core) -> None:
    """Deleting works for the user even if the host does not answer: what is left there is removed later."""
    if outcome.canceled:
        server.task_state = None
        if server.status == "BUILD" and not _is_being_made(session, server):  # making it was given up for this
            _forsake(session, server, core, clean=False)
            _fail(server, job, outcome)
        return
    if not outcome.ok:
        _leave_to_cleanup(session, server, core)
    mark_deleted(session, server)
    session.flush()
    server_left(session, server.image_id, core)


def _is_being_made(session: Session, server: Server) -> bool:
    mine = (JobResource.resource_type == "server") & (JobResource.resource_id == server.id)
    query = select(Job.sequence).join(JobResource).where(mine, Job.action == CREATE, Job.state.in_(UNFINISHED))
    return session.scalar(query.limit(1)) is not None


def _leave_to_cleanup(session: Session, server: Server, core: Core) -> None:
    """Have what may be left of *server* on its host removed, sooner or later."""
    if server.host is None:
        return
    ports = [
        {"id": port.id, "mac": port.mac_address, "network_id": port.network_id}
        for port in ports_of(session, [server.id])
    ]
    arguments = {"server_id": server.id, "host": server.host, "ports": ports, "attempt": 0}
    _try_later(session, core, CLEANUP, arguments)


def _try_later(session: Session, core: Core, action: str, arguments: dict[str, Any]) -> None:
    """Queue another try to remove what is left, unless the host left the inventory and took everything with it."""
    if session.get(Host, arguments["host"]) is not None:
        resources = [("server", arguments["server_id"])]
        enqueue_retry(session, core.queue, "server", action, resources, arguments)

"""The ports of routers and of floating IPs."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from skywright.jobs.engine.submit import Request, enqueue, submit
from skywright.queue.local import Queue
from skywright.services.network.router_tables import Router
from skywright.services.network.tables import Port

INTERFACE = "network:router_interface"
GATEWAY = "network:router_gateway"
FLOATING = "network:floatingip"
ON_HOSTS = (INTERFACE, GATEWAY)  # the port of a floating IP is on no host
OWNERS = (*ON_HOSTS, FLOATING)
UPDATE = "update"  # the action of jobs that converge a router
NEW = "BUILD"  # the status of a router while its first job is not finished


def ports_of(session: Session, router_ids: Iterable[str]) -> dict[str, list[Port]]:
    """Return the interfaces and gateways of routers, by router, oldest first."""
    query = select(Port).where(Port.device_id.in_(set(router_ids)), Port.device_owner.in_(ON_HOSTS))
    found: dict[str, list[Port]] = {}
    for port in session.scalars(query.order_by(Port.created_at, Port.id)):
        found.setdefault(port.device_id, []).append(port)
    return found


def interfaces_of(session: Session, router_id: str) -> list[Port]:
    """Return the ports of a router on internal networks."""
    return [port for port in ports_of(session, [router_id]).get(router_id, []) if port.device_owner == INTERFACE]


def gateway_of(session: Session, router_id: str) -> Port | None:
    """Return the port of a router on its external network."""
    return session.scalar(select(Port).where(Port.device_id == router_id, Port.device_owner == GATEWAY))


def routers_on(session: Session, network_id: str, owners: Sequence[str] = ON_HOSTS) -> set[str]:
    """Return the ids of the routers that have a port with one of *owners* on a network."""
    return set(
        session.scalars(select(Port.device_id).where(Port.network_id == network_id, Port.device_owner.in_(owners)))
    )


def entry_of(port: Port) -> dict[str, str]:
    """Return what a job needs to remove a deleted port from its host."""
    return {"id": port.id, "mac": port.mac_address, "network_id": port.network_id}


def refresh(request: Request, router_ids: Iterable[str], gone: Sequence[dict[str, str]] = ()) -> None:
    """Queue jobs that converge routers, and remove the deleted ports *gone* from their hosts."""
    for router, arguments in _pending(request.db, router_ids, gone):
        submit(request, "router", UPDATE, [("router", router.id)], arguments)


def refresh_without_request(session: Session, queue: Queue, router_ids: Iterable[str]) -> None:
    """As `refresh`, for changes that no user requested."""
    for router, arguments in _pending(session, router_ids, ()):
        enqueue(session, queue, "router", UPDATE, [("router", router.id)], arguments)


def _pending(
    session: Session, router_ids: Iterable[str], gone: Sequence[dict[str, str]]
) -> list[tuple[Router, dict[str, Any]]]:
    """Return the routers with something on hosts, and the arguments of their jobs."""
    session.flush()
    ids = {router_id for router_id in router_ids if router_id}
    ports = ports_of(session, ids)
    found = []
    for router in session.scalars(select(Router).where(Router.id.in_(ids)).order_by(Router.id)):
        if not router.host and router.id in ports:
            router.status = NEW
        if router.host or router.id in ports:
            found.append((router, {"router_id": router.id, "ports": list(gone)}))
    return found

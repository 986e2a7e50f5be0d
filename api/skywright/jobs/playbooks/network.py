"""Jobs of networks: what they tell the hosts, and what comes of them."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright import ipam
from skywright.db import utcnow
from skywright.db.jobs import Host, Job
from skywright.db.network import Network, NetworkHost, Port
from skywright.jobs.playbooks import Item, Outcome, Work
from skywright.jobs.playbooks.network_items import Rendering, is_null, recorded_dhcp_port, served, tunnel_address
from skywright.jobs.submit import enqueue

if TYPE_CHECKING:
    from skywright.cloud import Cloud

FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)
LIMIT_SECONDS = 1800.0


class NetworkPlaybook:
    """Jobs of networks.

    `update` brings the DHCP server up to date, `delete` takes the network off its hosts, `rejoin` tells a host that
    was away the peers that came meanwhile. `converge` repairs what is the network's own on some hosts, `tidy` takes
    off a host what no record knows.
    """

    name = "network"

    def render(self, session: Session, jobs: Sequence[Job], cloud: "Cloud") -> Work:
        hosts = {host.name: host for host in session.scalars(select(Host)) if not is_null(host)}
        work = Work(limit_seconds=LIMIT_SECONDS)
        # One resource is never in two running jobs, so no network comes twice.
        for job in jobs:
            network_id = job.arguments["network_id"]
            network = session.get(Network, network_id)
            items: dict[str, Item] = {}
            deciding: set[str] | None = None
            if network is not None:
                rendering = Rendering(session, network, hosts)
                _render(session, job, rendering)
                items = rendering.items
                deciding = {rendering.dhcp_host} if job.action == "update" else None
            elif job.action == "tidy" and job.arguments["host"] in hosts:
                items = {job.arguments["host"]: {"id": network_id, "state": "absent"}}
            for name, item in items.items():
                work.items.setdefault(name, {}).setdefault("networks", []).append(item)
            work.depends[job.id] = {(name, network_id) for name in items if deciding is None or name in deciding}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, cloud: "Cloud") -> None:
        network = session.get(Network, job.arguments["network_id"])
        if network is None:
            return
        if job.action == "delete" and outcome.ok:
            session.execute(delete(NetworkHost).where(NetworkHost.network_id == network.id))
            session.delete(network)
        elif job.action == "delete":
            _delete_later(session, cloud, job.arguments)
        elif job.action == "update" and outcome.ok:
            self._settle_update(session, network)

    def _settle_update(self, session: Session, network: Network) -> None:
        port = recorded_dhcp_port(session, network.id)
        if port is None:
            return
        if served(ipam.subnets_of(session, network.id)):
            port.status = "ACTIVE"
        else:
            ipam.delete_port(session, port)


def _render(session: Session, job: Job, rendering: Rendering) -> None:
    arguments = job.arguments
    match job.action:
        case "delete":
            rendering.remove(arguments["dhcp_host"])
        case "rejoin":
            rendering.rejoin(arguments["host"])
        case "converge":
            # Taps and DHCP entries are their servers', whose own jobs repair them.
            rendering.whole()
            rendering.items = {name: item for name, item in rendering.items.items() if name in arguments["hosts"]}
        case "tidy":
            ghosts = _ghosts(session, rendering.network, arguments["host"], arguments["ports"])
            rendering.tidy(arguments["host"], ghosts, _strangers(rendering.hosts.values(), arguments["peers"]))
        case _:
            rendering.serve()


def _ghosts(session: Session, network: Network, host: str, port_ids: Iterable[str]) -> list[Port]:
    """Those of the ports that, by now, still are not on *host*."""
    known = {port_id: session.get(Port, port_id) for port_id in port_ids}
    return [
        Port(id=port_id, mac_address="", network_id=network.id, host=host)
        for port_id, port in known.items()
        if port is None or port.host != host
    ]


def _strangers(hosts: Iterable[Host], addresses: Sequence[str]) -> list[str]:
    """Those of the addresses that, by now, still are no host's."""
    return sorted(set(addresses) - {tunnel_address(host) for host in hosts})


def _delete_later(session: Session, cloud: "Cloud", arguments: dict[str, Any]) -> None:
    """Queue another try, each twice as late as the one before: its user can no longer ask for it."""
    attempt = int(arguments.get("attempt", 0))
    resources = [("network", arguments["network_id"])]
    job = enqueue(session, cloud.queue, "network", "delete", resources, arguments | {"attempt": attempt + 1})
    job.not_before = utcnow() + min(FIRST_RETRY * 2 ** min(attempt, 16), LAST_RETRY)


PLAYBOOK = NetworkPlaybook()

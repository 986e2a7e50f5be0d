"""Jobs of networks: items for hosts, and settling."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from skywright.core import Core, Item, Outcome, Work
from skywright.db.host_facts import HostFacts
from skywright.db.jobs import Host, Job
from skywright.jobs.drift.model import Desired, Finding, Findings, Leftover, Reading, Records
from skywright.jobs.engine.activity import Key
from skywright.jobs.engine.submit import enqueue, enqueue_retry
from skywright.jobs.kinds import TIDY, ResourceKind, Result
from skywright.services.network import ipam
from skywright.services.network.kinds import network_drift
from skywright.services.network.kinds.network_items import (
    Rendering,
    real_hosts,
    recorded_dhcp_port,
    served,
    tunnel_address,
)
from skywright.services.network.tables import Network, NetworkHost, Port

LIMIT_SECONDS = 1800.0


class NetworkKind(ResourceKind):
    """Jobs of networks.

    `update` updates the DHCP server, `delete` removes the network from its hosts, `rejoin` sends a host the peers that
    were added while it was unreachable. `converge` repairs the network's own parts on some hosts, `tidy` removes
    leftovers from a host.
    """

    name, item_kind = "network", "networks"

    def render(self, session: Session, jobs: Sequence[Job], core: Core) -> Work:
        hosts = real_hosts(session)
        work = Work(timeout_seconds=LIMIT_SECONDS)
        # One resource is never in two running jobs, so no network comes twice.
        for job in jobs:
            network_id = job.arguments["network_id"]
            network = session.get(Network, network_id)
            items: dict[str, Item] = {}
            deciding: set[str] | None = None
            if network is not None:
                rendering = Rendering(session, core, network, hosts)
                _render(session, job, rendering)
                items = rendering.items
                deciding = {rendering.dhcp_host} if job.action == "update" else None
            elif job.action == "tidy" and job.arguments["host"] in hosts:
                items = {job.arguments["host"]: {"id": network_id, "state": "absent"}}
            for name, item in items.items():
                work.items.setdefault(name, {}).setdefault("networks", []).append(item)
            work.depends[job.id] = {(name, network_id) for name in items if deciding is None or name in deciding}
        return work

    def settle(self, session: Session, job: Job, outcome: Outcome, core: Core) -> None:
        network = session.get(Network, job.arguments["network_id"])
        if network is None:
            return
        if job.action == "delete" and outcome.ok:
            session.execute(delete(NetworkHost).where(NetworkHost.network_id == network.id))
            session.delete(network)
        elif job.action == "delete":
            # Its user cannot request it again.
            resources = [("network", job.arguments["network_id"])]
            enqueue_retry(session, core.queue, "network", "delete", resources, job.arguments)
        elif job.action == "update" and outcome.ok:
            self._settle_update(session, network)

    def _settle_update(self, session: Session, network: Network) -> None:
        port = recorded_dhcp_port(session, network.id)
        if port is None:
            return
        if served(session, network):
            port.status = "ACTIVE"
        else:
            ipam.delete_port(session, port)

    def read_desired(self, reading: Reading) -> None:
        network_drift.read_desired(reading)

    def describe(self, base: Finding, result: Result, desired: Desired, findings: Findings) -> Iterable[Finding]:
        return network_drift.describe(base, result, desired)

    def own(self, item: Item) -> Item:
        """Return the item without the ports and DHCP entries of servers."""
        return {**item, "ports": [], "dhcp": item["dhcp"] and {**item["dhcp"], "hosts": []}}

    def parts(self, item: Item, ids: set[str]) -> list[Item]:
        entries = [*item["ports"], *(item["dhcp"] or {"hosts": ()})["hosts"]]
        return [entry for entry in entries if entry["id"] in ids]

    def converge_arguments(self, key: Key, hosts: list[str], *, recreate: bool) -> dict[str, Any]:
        return {"hosts": hosts, "network_id": key[1]}

    def leftovers(self, records: Records, host: str, facts: HostFacts, found: list[Leftover]) -> Iterable[Leftover]:
        return network_drift.leftovers(records, host, facts)

    def tidy(self, one: Leftover) -> tuple[str, dict[str, Any]]:
        parts = {name: sorted(one.parts.get(name, ())) for name in ("ports", "peers")}
        return TIDY, {"network_id": one.id, "host": one.host, **parts}

    def host_returned(self, session: Session, host: Host, core: Core) -> None:
        """Queue jobs that send *host* the peers that were added while it was unreachable."""
        networks = select(Network.id).join(NetworkHost, NetworkHost.network_id == Network.id)
        for network_id in session.scalars(networks.where(NetworkHost.host == host.name, Network.deleted_at.is_(None))):
            arguments = {"network_id": network_id, "host": host.name}
            enqueue(session, core.queue, "network", "rejoin", [("network", network_id)], arguments)

    def host_removed(self, session: Session, host: str, core: Core) -> None:
        """Queue jobs that move the DHCP servers of *host* to other hosts."""
        session.execute(delete(NetworkHost).where(NetworkHost.host == host))
        served_there = select(Port.network_id).where(Port.device_owner == ipam.DHCP_OWNER, Port.host == host)
        for network_id in session.scalars(served_there):
            resources = [("network", network_id)]
            enqueue(session, core.queue, "network", "update", resources, {"network_id": network_id})


def _render(session: Session, job: Job, rendering: Rendering) -> None:
    arguments = job.arguments
    match job.action:
        case "delete":
            rendering.remove(arguments["dhcp_host"])
        case "rejoin":
            rendering.rejoin(arguments["host"])
        case "converge":
            # Taps and DHCP entries belong to servers, whose own jobs repair them.
            rendering.whole()
            rendering.items = {name: item for name, item in rendering.items.items() if name in arguments["hosts"]}
        case "tidy":
            gone = _deleted_ports(session, rendering.network, arguments["host"], arguments["ports"])
            rendering.tidy(arguments["host"], gone, _unknown_peers(rendering.hosts.values(), arguments["peers"]))
        case _:
            rendering.serve()


def _deleted_ports(session: Session, network: Network, host: str, port_ids: Iterable[str]) -> list[Port]:
    """Return the ports that are still not on *host* according to the records."""
    known = {port_id: session.get(Port, port_id) for port_id in port_ids}
    return [
        Port(id=port_id, mac_address="", network_id=network.id, host=host)
        for port_id, port in known.items()
        if port is None or port.host != host
    ]


def _unknown_peers(hosts: Iterable[Host], addresses: Sequence[str]) -> list[str]:
    """Return the addresses that still belong to no host according to the records."""
    return sorted(set(addresses) - {tunnel_address(host) for host in hosts})

"""Drift of networks: differences from the records, and leftovers on hosts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import or_, select

from skywright.db.host_facts import HostFacts, Mark
from skywright.db.jobs import Host
from skywright.jobs.drift.model import Desired, Finding, Leftover, Reading, Records, is_random
from skywright.jobs.kinds import Result
from skywright.services.network.kinds.network_items import Rendering, recorded_dhcp_port, tunnel_address
from skywright.services.network.router_ports import ON_HOSTS
from skywright.services.network.tables import Network, NetworkHost, Port

# (text, before, after, owner: the id of a port, or a name of it; None for the network itself)
Part = tuple[str, Any, Any, str | None]
Diff = dict[str, Any]
# What ports have in files of a host, and the kind that has these files.
FILTERS = {"port security": "ovs_port_security", "QoS": "ovs_qos"}


class NetworkPort(Mark):
    """A port in a network's item: a server's, if it has a `port_id`, or a tunnel, if it has a `peer`."""

    name: str
    port_id: str | None
    peer: str | None


class Entries(Mark):
    """A network's DHCP server, or its port security, with the entries of ports."""

    ports: list[str]


def names(port_id: str) -> list[str]:
    """Return the names of a server's port on the switch: its tap, and the ends of the patch of its port security."""
    return [f"{start}{port_id[:11]}" for start in ("tap", "si", "ss")]


def read_desired(reading: Reading) -> None:
    """Add the networks, with the ports of servers that should run. The ports of other servers are added when they
    start.
    """
    used = {use.id: use for use in reading.used("port")}
    for use in used.values():
        reading.desired.owners |= dict.fromkeys([use.id, *names(use.id)], use.owner)
    ports = [row for row in (reading.session.get(Port, key) for key in used) if row is not None]
    plugged: dict[str, list[Port]] = {}
    for port in ports:
        if used[port.id].active:
            plugged.setdefault(port.network_id, []).append(port)
    for network in _networks(reading, ports):
        if not reading.includes(("network", network.id), network.name, network.project_id):
            continue
        rendering = Rendering(reading.session, reading.core, network, reading.hosts)
        rendering.whole(plugged.get(network.id, ()))
        for name in rendering.items.keys() & reading.compared.keys():
            reading.desired.add(name, "networks", rendering.items[name])


def _networks(reading: Reading, ports: Iterable[Port]) -> Iterable[Network]:
    there = select(NetworkHost.network_id).where(NetworkHost.host.in_(reading.compared))
    query = select(Network).where(Network.id.in_(there), Network.deleted_at.is_(None)).order_by(Network.id)
    if reading.scope.project_id is not None:
        used = {port.id for port in ports}
        query = query.where(or_(Network.project_id == reading.scope.project_id, Network.id.in_(used)))
    return reading.session.scalars(query)


def describe(base: Finding, result: Result, desired: Desired) -> Iterator[Finding]:
    """Yield the differences of a network, of its DHCP server, or of a server's port and its port security."""
    diff = result.get("diff") or {}
    before, after = diff.get("before") or {}, diff.get("after") or {}
    for text, have, want, part in _PARTS[result["module"]](before, after):
        found = replace(base, text=text, diff={"before": have, "after": want})
        owner = desired.owners.get(part or "")
        yield found if owner is None else replace(found, key=owner, carrier=base.key)


def _switch(before: Diff, after: Diff) -> Iterator[Part]:
    """Compare the ports of a network, and the devices of its taps."""
    ports = (before.get("ports", {}), after.get("ports", {}))
    taps = (before.get("taps", {}), after.get("taps", {}))
    for name in sorted({name for side in (*ports, *taps) for name in side}):
        have, want = ({"port": port.get(name), "mtu": mtu.get(name)} for port, mtu in zip(ports, taps, strict=True))
        if have != want:
            yield _port(name, have, want), have, want, name


def _port(name: str, have: Diff, want: Diff) -> str:
    what = _NAMES.get(name[:2], "port")
    if want["port"] is None:
        return f"{what} {name} is there, but should not be"
    if have["port"] is None:
        return f"{what} {name} is missing on the switch"
    if have["port"]["stale"] or (have["mtu"] is None and want["mtu"] is not None):
        return f"the device of {what} {name} is missing"
    keys = [key for key in want["port"] if want["port"][key] != have["port"].get(key)]
    return f"{what} {name} differs: {', '.join(keys or ['mtu'])}"


_NAMES = {"vx": "tunnel", "dh": "DHCP port", "pi": "patch", "pp": "patch", "si": "patch", "ss": "patch", "ta": "port"}


def _dhcp(before: Diff, after: Diff) -> Iterator[Part]:
    """Compare a DHCP server, and the entries of ports in it."""
    if not after:
        yield "a DHCP server is there, but should not be", before, after, None
        return
    if not before:
        yield "its DHCP server is missing", None, {"running": True}, None
    else:
        yield from _dhcp_itself(before, after)
    yield from _dhcp_entries(before.get("hosts", {}), after["hosts"])
    for key, text in _DHCP_PORTS.items():
        have, want = before.get(key, {}), after[key]
        for port in sorted(have.keys() | want.keys()):
            if have.get(port) != want.get(port):
                yield text, have.get(port), want.get(port), port


def _dhcp_entries(have: Diff, want: Diff) -> Iterator[Part]:
    for port in sorted(have.keys() | want.keys()):
        if have.get(port) == want.get(port):
            continue
        known = "is missing" if port not in have else "differs"
        text = f"its DHCP entry {known}" if port in want else "it has DHCP entries without a port"
        yield text, have.get(port), want.get(port), port


def _dhcp_itself(before: Diff, after: Diff) -> Iterator[Part]:
    for name, text in sorted(after["files"].items()):
        if before["files"].get(name) != text:
            yield f"the DHCP server's file {name} differs", before["files"].get(name), text, None
    for key, text in _DHCP.items():
        if before[key] != after[key]:
            yield text, before[key], after[key], None


_DHCP_PORTS = {"port_options": "its DHCP options differ", "names": "its names in DNS differ"}
_DHCP = {
    "options": "the DHCP options differ",
    "unit": "the unit of DHCP servers differs",
    "tags": "the file with the tags of MAC addresses differs",
    "enabled": "its DHCP server is not enabled at boot",
    "running": "its DHCP server does not run",
    "told": "its DHCP server has not read its newest files",
}


def _metadata(before: Diff, after: Diff) -> Iterator[Part]:
    """Compare a metadata proxy."""
    if not after or not before:
        state = "is missing" if after else "is there, but should not be"
        yield f"its metadata proxy {state}", before or None, after or None, None
        return
    for key, text in _METADATA.items():
        if before[key] != after[key]:
            yield text, before[key], after[key], None


_METADATA = {
    "shared": "the common files of metadata proxies differ",
    "configuration": "the configuration of its metadata proxy differs",
    "enabled": "its metadata proxy is not enabled at boot",
    "listening": "its metadata proxy does not listen",
    "told": "its metadata proxy has not read its newest file",
}


def _security(before: Diff, after: Diff) -> Iterator[Part]:
    """Compare the port security of ports: their flows, and what restores them."""
    ports = (before.get("ports", {}), after.get("ports", {}))
    shared = (before.get("shared"), after.get("shared"))
    if all(shared) and shared[0] != shared[1]:
        yield "the flows that all ports with port security share differ", *shared, None
    yield from _of_ports("port security", ports)


def _limits(before: Diff, after: Diff) -> Iterator[Part]:
    """Compare the QoS rules of ports: their meters and flows, and what restores them."""
    yield from _of_ports("QoS", (before.get("ports", {}), after.get("ports", {})))


def _of_ports(what: str, ports: tuple[Diff, Diff]) -> Iterator[Part]:
    """Compare what ports have of one kind."""
    for port_id in sorted({port_id for side in ports for port_id in side}):
        have, want = (side.get(port_id) for side in ports)
        if have == want:
            continue
        state = "is missing" if have is None else "is there, but should not be" if want is None else "differs"
        yield f"the {what} of port {port_id} {state}", have, want, port_id


_PARTS: dict[str, Callable[[Diff, Diff], Iterator[Part]]] = {
    "ovs_network": _switch,
    "dhcp_network": _dhcp,
    "metadata_proxy": _metadata,
    "ovs_port_security": _security,
    "ovs_qos": _limits,
}


def leftovers(records: Records, host: str, facts: HostFacts) -> Iterator[Leftover]:
    """Yield networks that do not belong on the host, and parts that do not belong to the others."""
    ports = facts.marks("ovs_network", NetworkPort)
    entries = {server.id: set(server.ports) for server in facts.marks("dhcp_network", Entries)}
    filters = {what: _saved(facts, kind) for what, kind in FILTERS.items()}
    filtered = {network_id for found in filters.values() for network_id in found}
    proxied = _proxied(facts)
    here = set(records.session.scalars(select(NetworkHost.network_id).where(NetworkHost.host == host)))
    addresses = {tunnel_address(row) for row in records.session.scalars(select(Host))}
    for network_id in sorted({port.id for port in ports} | entries.keys() | filtered | proxied):
        if not records.settled("network", network_id):
            continue
        own = [port for port in ports if port.id == network_id]
        one = Leftover(host, "network", network_id)
        if network_id not in here or records.session.get(Network, network_id) is None:
            one.texts = [f"port {port.name}" for port in own]
            one.texts += ["DHCP server"] if network_id in entries else []
            one.texts += ["metadata proxy"] if network_id in proxied else []
            one.texts += [text for text, _port_id in _filters_of(filters, network_id)]
        else:
            _add_ports(records, one, own, addresses)
            _add_dhcp(records, one, entries.get(network_id), proxied=network_id in proxied)
            one.texts += [
                text for text, port_id in _filters_of(filters, network_id) if _is_misplaced(records, one, port_id)
            ]
        if one.texts:
            yield one


def _saved(facts: HostFacts, kind: str) -> dict[str, set[str]]:
    """Return {network id: the ids of its ports with files of a kind}: none in facts from before there was the kind."""
    if kind not in (facts.contents or {}):
        return {}
    return {one.id: set(one.ports) for one in facts.marks(kind, Entries)}


def _filters_of(filters: dict[str, dict[str, set[str]]], network_id: str) -> Iterator[tuple[str, str]]:
    """Yield what a network's ports have in files, as a text and the id of the port."""
    for what, found in filters.items():
        for port_id in sorted(found.get(network_id, ())):
            yield f"{what} of port {port_id}", port_id


def _add_ports(records: Records, one: Leftover, ports: list[NetworkPort], addresses: set[str | None]) -> None:
    for port in ports:
        if port.port_id and _is_misplaced(records, one, port.port_id):
            one.texts.append(f"port {port.name}")
        elif port.peer and port.peer not in addresses:
            one.parts.setdefault("peers", set()).add(port.peer)
            one.texts.append(f"tunnel {port.name} to {port.peer}")


def _is_misplaced(records: Records, one: Leftover, port_id: str) -> bool:
    """Return whether a port has no record or belongs to another host. A port without a host may be put here at any
    time.
    """
    port = records.session.get(Port, port_id)
    if not is_random(port_id) or (port is not None and port.host in ("", one.host)):
        return False
    if port is not None:
        user = ("router" if port.device_owner in ON_HOSTS else "server", port.device_id)
        if not port.device_id or user in records.moved.resources:
            return False
        one.locks.add(user)
    one.parts.setdefault("ports", set()).add(port_id)
    return True


def _proxied(facts: HostFacts) -> set[str]:
    """Return the ids of the networks with a metadata proxy: none in facts from before there was any."""
    if "metadata_proxy" not in (facts.contents or {}):
        return set()
    return {one.id for one in facts.marks("metadata_proxy", Mark)}


def _add_dhcp(records: Records, one: Leftover, entries: set[str] | None, *, proxied: bool) -> None:
    dhcp = recorded_dhcp_port(records.session, one.id)
    if dhcp is None or dhcp.host != one.host:
        one.texts += ["DHCP server"] if entries is not None else []
        one.texts += ["metadata proxy"] if proxied else []
        return
    for port_id in sorted(entries or ()):
        if is_random(port_id) and records.session.get(Port, port_id) is None:
            one.parts.setdefault("ports", set()).add(port_id)
            one.texts.append(f"DHCP entry of port {port_id}")

"""What differs: the results of modules in check mode, in words, resource by resource.

A network's item carries parts of servers (their taps, their DHCP entries): these are told of the servers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skywright.jobs.activity import Key
from skywright.jobs.desired import Desired
from skywright.jobs.results import Results

DRIFTED, LOST, UNKNOWN = "drifted", "lost", "unknown"
KINDS = {"networks": "network", "images": "image", "servers": "server"}
# Why a domain is off, as libvirt says; `shutdown` is the guest's own will.
OWN_WILL = "shutdown"
OFF = {
    "crashed": "it does not run: its QEMU crashed or was killed",
    "destroyed": "it does not run: its domain was destroyed",
    "failed": "it does not run: its domain failed to start",
}

Result = dict[str, Any]
Diff = dict[str, Any]
Reasons = Mapping[tuple[str, str], str | None]


@dataclass(frozen=True)
class Finding:
    """One difference of a resource on a host. `network_id`: the network, for what a server has in one."""

    key: Key
    host: str
    module: str
    text: str
    state: str = DRIFTED
    action: str | None = None
    diff: Diff | None = None
    network_id: str | None = None


@dataclass
class Findings:
    """All differences. `reasons`: why domains are off, by host and server; `silent`: hosts that said nothing, with
    the reason; `own_will`: servers whose guests shut themselves down while the records say that they run.
    """

    reasons: Reasons
    found: list[Finding] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    own_will: set[str] = field(default_factory=set)


def findings(wanted: Desired, results: Results, reasons: Reasons) -> Findings:
    """What check mode said of the items of *wanted*."""
    told = Findings(reasons)
    for host, kind, item_id in wanted.index():
        outcome = results.outcome([(host, item_id)])
        spoken = [result for result in outcome.results if result["module"] != "fail"]
        if not spoken:
            told.silent.setdefault(host, outcome.error or "it said nothing")
        for result in spoken:
            base = Finding((KINDS[kind], item_id), host, result["module"], "", action=result.get("action"))
            if result.get("error"):
                told.found.append(_error(base, result))
            elif result.get("changed"):
                told.found += _of_result(base, result, wanted, told)
    lost = {finding.key for finding in told.found if finding.state == LOST}
    # That nothing else can be done without its disk needs no words.
    told.found = [finding for finding in told.found if finding.key not in lost or finding.state != UNKNOWN]
    return told


def _error(base: Finding, result: Result) -> Finding:
    if base.key[0] == "image":  # missing, and no longer to be had
        text = "it is not in the host's cache and was deleted: the disks based on it cannot be read any more"
        return replace(base, text=text, state=LOST, action=None)
    state = LOST if result.get("status") == LOST else UNKNOWN
    return replace(base, text=str(result["error"]), state=state, action=None)


def _of_result(base: Finding, result: Result, wanted: Desired, told: Findings) -> Iterable[Finding]:
    diff = result.get("diff") or {}
    before, after = diff.get("before") or {}, diff.get("after") or {}
    match result["module"]:
        case "ovs_network":
            return _of_network(base, wanted, _switch(before, after))
        case "dhcp_network":
            return _of_network(base, wanted, _dhcp(before, after))
        case "libvirt_domain":
            return _of_domain(base, before, after, told)
        case "server_disk" if base.key[0] == "server":
            return _of_disk(base, before, after)
        case _:
            return [replace(base, text="it is not in the host's cache")]


# (text, before, after, whose: a port's id or its tap, None for the network itself)
Part = tuple[str, Any, Any, str | None]


def _of_network(base: Finding, wanted: Desired, parts: Iterable[Part]) -> Iterator[Finding]:
    for text, before, after, owner in parts:
        found = replace(base, text=text, diff={"before": before, "after": after})
        server = wanted.owners.get(owner or "")
        yield found if server is None else replace(found, key=("server", server), network_id=base.key[1])


def _switch(before: Diff, after: Diff) -> Iterator[Part]:
    """The ports of a network, and the devices of its taps."""
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


_NAMES = {"vx": "tunnel", "dh": "DHCP port", "pi": "patch", "pp": "patch", "ta": "port"}


def _dhcp(before: Diff, after: Diff) -> Iterator[Part]:
    """A DHCP server, and the entries of ports in it."""
    if not after:
        yield "a DHCP server is there, but should not be", before, after, None
        return
    if not before:
        yield "its DHCP server is missing", None, {"running": True}, None
    else:
        yield from _dhcp_itself(before, after)
    have, want = before.get("hosts", {}), after["hosts"]
    for port in sorted(have.keys() | want.keys()):
        if have.get(port) == want.get(port):
            continue
        known = "is missing" if port not in have else "differs"
        text = f"its DHCP entry {known}" if port in want else "there are DHCP entries of nobody"
        yield text, have.get(port), want.get(port), port


def _dhcp_itself(before: Diff, after: Diff) -> Iterator[Part]:
    for name, text in sorted(after["files"].items()):
        if before["files"].get(name) != text:
            yield f"the DHCP server's file {name} differs", before["files"].get(name), text, None
    for key, text in _DHCP.items():
        if before[key] != after[key]:
            yield text, before[key], after[key], None


_DHCP = {
    "options": "the DHCP options differ",
    "unit": "the unit of DHCP servers differs",
    "enabled": "its DHCP server would not start with the host",
    "running": "its DHCP server does not run",
    "told": "its DHCP server does not know its newest files",
}


def _of_disk(base: Finding, before: Diff, after: Diff) -> Iterator[Finding]:
    for key, name in (("disk_bytes", "disk"), ("config_drive", "config drive"), ("image_id", "record of its image")):
        have, want = before.get(key), after.get(key)
        if have != want:
            known = "is missing" if have is None else "should not be there" if want is None else "differs"
            yield replace(base, text=f"its {name} {known}", diff={"before": {key: have}, "after": {key: want}})


def _of_domain(base: Finding, before: Diff, after: Diff, told: Findings) -> Iterator[Finding]:
    if not before:
        yield replace(base, text="its domain is not defined", diff={"before": before, "after": after})
        return
    reason = told.reasons.get((base.host, base.key[1])) if before["power"] == "shutoff" else None
    for key, tell in _DOMAIN.items():
        have, want = before.get(key), after.get(key)
        if have == want:
            continue
        if key == "power" and want == "running" and reason == OWN_WILL:
            told.own_will.add(base.key[1])  # as after a shutdown at the console: nobody but its user starts it
            continue
        diff = {"before": {key: have}, "after": {key: want}}
        yield replace(base, text=tell(have, want, reason), diff=diff)


def _power(have: str, want: str, reason: str | None) -> str:
    if want == "shutoff":
        return "it runs, but should not"
    if have == "paused":
        return "it is paused"
    return OFF.get(reason or "", "it does not run")


def _definition(have: Diff, want: Diff, _reason: str | None) -> str:
    return f"its definition differs: {', '.join(key for key in want if have.get(key) != want[key])}"


_DOMAIN: dict[str, Callable[[Any, Any, str | None], str]] = {
    "power": _power,
    "persistent": lambda *_: "its domain was undefined: it would be gone with its next shutdown",
    "definition": _definition,
    "boot_id": lambda *_: "it was not rebooted as asked",
}

# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The packet filter of a router: translation of addresses, and whether it forwards at all.

Rules are lines as C(nft list ruleset) prints them, so that wanted and present ones compare equal.

Each translation has a mark, a hash of all that it says, which its connections carry. So the connections of translations
that exist no longer can be found, and no others.
"""

from __future__ import annotations

import hashlib
import re

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError

MARK = re.compile(r"\bct mark (?:set )?(0x[0-9a-f]{8})\b")


def rules(item, external, cut=()):
    """Return the lines of a router's table; connections with a mark in *cut* are stopped.

    C(external) is the device of the external interface, or None.
    """
    policy = "accept" if item["admin_state_up"] else "drop"
    return [
        "table inet skywright {",
        *_chain("prerouting", "nat", "dstnat", "accept", _destinations(item)),
        *_chain("forward", "filter", "filter", policy, [f"ct mark {mark} drop" for mark in cut]),
        *_chain("postrouting", "nat", "srcnat", "accept", _sources(item, external) if external else []),
        "}",
    ]


def marks(lines):
    """Return the marks of all translations."""
    return {mark for line in lines for mark in MARK.findall(line)}


def floating_addresses(item):
    """Return the addresses of all floating IPs, in their order."""
    entries = [*item["floating_ips"], *item["port_forwardings"]]
    return sorted({_ipv4(entry["floating_ip_address"]) for entry in entries})


def _chain(name, kind, priority, policy, lines):
    yield f"chain {name} {{"
    yield f"type {kind} hook {name} priority {priority}; policy {policy};"
    yield from lines
    yield "}"


def _mark(*words):
    """Return the mark of a translation, with which its connections are marked."""
    return "0x" + hashlib.sha256(" ".join(words).encode()).hexdigest()[:8]


def _floating(item):
    """Yield (floating IP, fixed address, mark), sorted."""
    for entry in sorted(item["floating_ips"], key=lambda entry: entry["floating_ip_address"]):
        addresses = _ipv4(entry["floating_ip_address"]), _ipv4(entry["fixed_ip_address"])
        yield (*addresses, _mark(*addresses))


def _destinations(item):
    """Yield the rules for new connections to floating IPs."""
    for floating, fixed, mark in _floating(item):
        yield f"ip daddr {floating} ct mark set {mark} dnat ip to {fixed}"
    for entry in sorted(item["port_forwardings"], key=lambda entry: entry["id"]):
        for match, target in _forwarded(entry):
            yield f"{match} ct mark set {_mark(match, target)} dnat ip to {target}"


def _forwarded(entry):
    """Yield (match, target) of a port forwarding."""
    floating, target = _ipv4(entry["floating_ip_address"]), _ipv4(entry["internal_ip_address"])
    outer, inner = _ports(entry, "external"), _ports(entry, "internal")
    match = f"ip daddr {floating} {entry['protocol']} dport"
    if len(inner) == 1:
        yield f"{match} {_range(outer)}", f"{target}:{inner[0]}"
    elif outer == inner:
        yield f"{match} {_range(outer)}", target
    elif len(outer) == len(inner):
        for ports in zip(outer, inner):
            yield f"{match} {ports[0]}", f"{target}:{ports[1]}"
    else:
        raise ItemError(f"the port ranges of port forwarding {entry['id']} have different lengths")


def _ports(entry, side):
    first, last = entry[f"{side}_port_min"], entry[f"{side}_port_max"]
    if not 1 <= first <= last <= 65535:
        raise ItemError(f"{first}-{last} is not a range of ports")
    return range(first, last + 1)


def _range(ports):
    return f"{ports[0]}-{ports[-1]}" if len(ports) > 1 else str(ports[0])


def _sources(item, external):
    """Yield the rules for new connections to the external network, and from inside to floating IPs."""
    outward = f'oifname "{external}"'
    for floating, fixed, mark in _floating(item):
        yield f"{outward} ip saddr {fixed} ct mark set {mark} snat ip to {floating}"
    if item["enable_snat"] and item["snat_address"]:
        address = _ipv4(item["snat_address"])
        yield f"{outward} ct mark set {_mark(address)} snat ip to {address}"
    # The answers to a connection from inside must come back here, also from a neighbour of the client.
    yield f'iifname != "{external}" oifname != "{external}" ct status dnat masquerade'


def _ipv4(text):
    address = check.address(text)
    if address.version != 4:
        raise ItemError(f"{address} is not an IPv4 address")
    return str(address)

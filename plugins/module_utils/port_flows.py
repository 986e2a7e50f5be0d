# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flows of a port with port security: the server sends only from its own addresses, and its security groups filter.

See C(pipeline.py) for the tables.
"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import (
    DIRECTIONS,
    EGRESS,
    GROUPS,
    INGRESS,
    OUT,
    PORT,
    PORTS,
    SPOOF,
    VERDICT,
    ZONE,
    cookie,
    field,
    goto,
    load,
    text,
)

UNSPECIFIED = {4: "0.0.0.0", 6: "::"}
# Priorities in SPOOF: what a server sends before it has an address, its neighbour advertisements, and the rest.
UNADDRESSED, OWN_NEIGHBOUR, OWN = 50, 40, 20
LOADED_ZONE = re.compile(rf"actions=load:(0x[0-9a-f]+)->{re.escape(ZONE)}")


def in_port(device):
    """Return the match of frames from a port."""
    return f'in_port="{device}"'


def is_tracked(port):
    """Return whether a port's connections are tracked, which takes a zone."""
    return port["security_groups"] is not None and port["stateful"]


def zone_of(texts):
    """Return the zone of connection tracking in the flows of a port, or None."""
    found = LOADED_ZONE.search(texts)
    return int(found[1], 16) if found else None


def flows(port, tap, patch, zone):
    """Return the flows of a port of a server with the options of M(skywright.cloud.ovs_port_security), sorted.

    C(tap) and C(patch) are its ports on the bridge of port security; C(zone) is None if it is not tracked.
    """
    filtered = port["security_groups"] is not None
    enter = f"load:{zone:#x}->{ZONE}," if zone else ""
    found = [
        (PORT, 10, in_port(tap), enter + goto(SPOOF)),
        (PORT, 10, in_port(patch), enter + goto(INGRESS if filtered else OUT)),
        (OUT, 10, in_port(tap), f'output:"{patch}"'),
        (OUT, 10, in_port(patch), f'output:"{tap}"'),
    ]
    if filtered:
        groups = sorted(check.uuid(group) for group in port["security_groups"])
        for direction, device in ((DIRECTIONS["egress"], tap), (DIRECTIONS["ingress"], patch)):
            visits = [f"{load(group, 1)},{goto(direction.group)}" for group in groups]
            found.append((GROUPS, 10, in_port(device), ",".join([*visits, goto(VERDICT)])))
    addressed = goto(EGRESS if filtered else OUT)
    for mac, networks in _sources(port).items():
        found += [(SPOOF, *rest) for rest in _spoof(f"{in_port(tap)},dl_src={mac}", mac, networks, addressed)]
    return sorted({text(cookie(PORTS, port["id"]), *flow) for flow in found})


def _spoof(sender, mac, networks, addressed):
    """Yield (priority, match, actions) of what a server sends from a MAC address: C(addressed) is for its addresses."""
    yield UNADDRESSED, f"udp,{sender},nw_src={UNSPECIFIED[4]},tp_src=68,tp_dst=67", goto(OUT)
    yield OWN, f"arp,{sender},arp_spa={UNSPECIFIED[4]},arp_sha={mac}", goto(OUT)  # probes (RFC 5227)
    # Multicast listener reports and router solicitations without an address (RFC 4861, RFC 9777).
    for kind in (131, 132, 133, 143):
        yield UNADDRESSED, f"icmp6,{sender},ipv6_src={UNSPECIFIED[6]},icmp_type={kind}", goto(OUT)
    for network in networks:
        if network.version == 4:
            yield OWN, f"arp,{sender}{field('arp_spa', network)},arp_sha={mac}", goto(OUT)
            yield OWN, f"ip,{sender}{field('nw_src', network)}", addressed
    yield from _spoof6(sender, [network for network in networks if network.version == 6], addressed)


def _spoof6(sender, own, addressed):
    """Yield (priority, match, actions) of what a server sends from IPv6 addresses; it advertises no other ones."""
    sources, targets = ([field(name, network) for network in own] for name in ("ipv6_src", "nd_target"))
    for source in sources:
        yield OWN, f"ipv6,{sender}{source}", addressed
        for target in targets:
            yield OWN_NEIGHBOUR, f"icmp6,{sender}{source},icmp_type=136{target}", goto(OUT)
    for target in targets:
        # Duplicate address detection (RFC 4862).
        yield UNADDRESSED, f"icmp6,{sender},ipv6_src={UNSPECIFIED[6]},icmp_type=135{target}", goto(OUT)


def _sources(port):
    """Return {MAC address: the networks of its IP addresses}, link-local ones included."""
    own = check.mac(port["mac"] or "")
    found = {own: {check.network(address) for address in port["addresses"]}}
    for pair in port["allowed_address_pairs"]:
        mac = check.mac(pair["mac_address"] or own)
        found.setdefault(mac, set()).add(check.network(pair["ip_address"], strict=False))
    return {mac: sorted(networks | {link_local(mac)}, key=str) for mac, networks in found.items()}


def link_local(mac):
    """Return the link-local address of a MAC address, as a network (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    identifier = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return ipaddress.ip_network(b"\xfe\x80" + bytes(6) + identifier)
